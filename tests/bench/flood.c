/* Opens files of a folder, a number of times a second, for some seconds: prints how many it opened. Usage: flood FOLDER PER_SECOND SECONDS */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FILES 1000

static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
	if (count != 4 || chdir(arguments[1]))
		return 1;
	const double rate = atof(arguments[2]), seconds = atof(arguments[3]), start = now();
	char name[16];
	long opened = 0;
	for (double passed = 0; passed < seconds; passed = now() - start) {
		for (const double due = passed * rate; opened < due; opened++) {
			snprintf(name, sizeof(name), "%ld", opened % FILES);
			close(open(name, O_RDONLY | O_CREAT, 0600));
			if (opened % 1024 == 0 && now() - start > seconds)
				break;
		}
		usleep(500);
	}
	printf("%ld\n", opened);
}
