/* A flood of file events, and processes beside it. Usage: flood PATH SECONDS RATE PROGRAM PROCESSES_A_SECOND
 * RATE is acts a second of all threads, 0 for as many as they can. Prints: acts, processes, seconds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2
#define AT_ONCE 200 /* acts between two looks at the clock */

static double seconds, rate, begun;
static const char *path;
static atomic_long acts;

static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

static void rest_until(double moment)
{
	double left = moment - now();
	struct timespec rest = {0, (long)(left * 1e9)};
	if (left > 0)
		nanosleep(&rest, NULL);
}

static void *flood(void *unused)
{
	int file = open(path, O_RDONLY);
	long done = 0;
	for (double at; (at = now() - begun) < seconds;) {
		for (int each = 0; each < AT_ONCE; each++)
			fchmod(file, each & 1 ? 0600 : 0644);
		done += AT_ONCE;
		if (rate)
			rest_until(begun + done * THREADS / rate);
	}
	atomic_fetch_add(&acts, done);
	return unused;
}

int main(int count, char **arguments)
{
	extern char **environ;
	pthread_t threads[THREADS];
	if (count < 6)
		return 2;
	path = arguments[1];
	seconds = atof(arguments[2]);
	rate = atof(arguments[3]);
	double every = 1 / atof(arguments[5]);
	long processes = 0;
	begun = now();
	for (int each = 0; each < THREADS; each++)
		pthread_create(&threads[each], NULL, flood, NULL);
	while (now() - begun < seconds) {
		char *words[] = {arguments[4], NULL};
		pid_t child;
		if (!posix_spawn(&child, arguments[4], NULL, NULL, words, environ)) {
			waitpid(child, NULL, 0);
			processes++;
		}
		rest_until(begun + processes * every);
	}
	for (int each = 0; each < THREADS; each++)
		pthread_join(threads[each], NULL);
	printf("%ld %ld %.3f\n", atomic_load(&acts), processes, now() - begun);
	return 0;
}
