/* One act, again and again: prints nanoseconds per operation. Usage: host_loop ACT COUNT PATH */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1e9 + at.tv_nsec;
}

static void run(const char *program)
{
	extern char **environ;
	char *arguments[] = {(char *)program, NULL};
	pid_t child;
	if (posix_spawn(&child, program, NULL, NULL, arguments, environ) == 0)
		waitpid(child, NULL, 0);
}

static void connect_and_close(const struct sockaddr_in *to, int listener)
{
	int ours = socket(AF_INET, SOCK_STREAM, 0);
	struct linger at_once = {1, 0}; /* no TIME_WAIT, which would exhaust the ports */
	setsockopt(ours, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (connect(ours, (const struct sockaddr *)to, sizeof(*to)) == 0)
		close(accept(listener, NULL, NULL));
	close(ours);
}

int main(int count, char **arguments)
{
	if (count < 4)
		return 2;
	const char *act = arguments[1], *path = arguments[3];
	long times = atol(arguments[2]);
	char other[4096], block[64] = {0};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(to);
	int null = open("/dev/null", O_WRONLY), listener = socket(AF_INET, SOCK_STREAM, 0);
	snprintf(other, sizeof(other), "%s.other", path);
	if (bind(listener, (struct sockaddr *)&to, sizeof(to)) || listen(listener, 64) || getsockname(listener, (struct sockaddr *)&to, &length))
		return 1;
	double start = now();
	for (long number = 0; number < times; number++) {
		if (!strcmp(act, "getppid"))
			syscall(SYS_getppid);
		else if (!strcmp(act, "open"))
			close(open(path, O_RDONLY));
		else if (!strcmp(act, "open-fails"))
			open("/nonexistent/file", O_RDONLY);
		else if (!strcmp(act, "write")) {
			if (write(null, block, sizeof(block)) < 0)
				return 1;
		} else if (!strcmp(act, "rename"))
			rename(number & 1 ? other : path, number & 1 ? path : other);
		else if (!strcmp(act, "exec"))
			run("/bin/true");
		else if (!strcmp(act, "connect"))
			connect_and_close(&to, listener);
		else
			return 2;
	}
	printf("%.1f\n", (now() - start) / times);
	return 0;
}
