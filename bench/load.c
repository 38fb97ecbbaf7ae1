/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work to measure throughput by, the same static program on the host, in a container and in a VM:
 *
 *	load cpu THREADS SECONDS     million steps of an integer generator a second
 *	load write FILE MIB          MiB/s written one after the other, the final fsync counted
 *	load read FILE MIB           MiB/s read one after the other, past the page cache
 *	load randread FILE SECONDS   4 KiB reads a second at random places, past the page cache
 *	load randwrite FILE SECONDS  4 KiB writes a second at random places, past the page cache
 *
 * "write" makes the file that the others use.  Prints one number.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK     4096
#define BIG_BLOCK (1 << 20)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

/* ---- cpu ---- */

struct worker {
	pthread_t thread;
	double until;
	uint64_t steps, state;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	do {
		uint64_t x = w->state;

		for (int i = 0; i < 1000000; i++)
			x = next(x);
		w->state = x;
		w->steps++;
	} while (now() < w->until);
	return NULL;
}

static double cpu(int n, double seconds)
{
	struct worker w[64];
	double begin = now();
	uint64_t sum = 0, mix = 0;

	if (n < 1 || n > 64)
		errx(1, "1 to 64 threads");
	for (int i = 0; i < n; i++) {
		w[i] = (struct worker) { .until = begin + seconds, .state = (uint64_t)i + 1 };
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			errx(1, "thread");
	}
	for (int i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		sum += w[i].steps;
		mix ^= w[i].state;
	}
	if (!mix) /* never; the work must not be left out */
		puts("0");
	return (double)sum / (now() - begin);
}

/* ---- disk ---- */

static void *block_of(size_t size)
{
	void *p = NULL;

	if (posix_memalign(&p, BLOCK, size))
		errx(1, "memory");
	for (size_t i = 0; i < size / 8; i++)
		((uint64_t *)p)[i] = i * 0x9e3779b97f4a7c15u;
	return p;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static double write_all(const char *path, long mib)
{
	int fd = open_or_die(path, O_WRONLY | O_CREAT | O_TRUNC);
	uint64_t *p = block_of(BIG_BLOCK);
	double begin = now();

	for (long i = 0; i < mib; i++) {
		p[0] = (uint64_t)i;
		if (write(fd, p, BIG_BLOCK) != BIG_BLOCK)
			err(1, "write");
	}
	if (fsync(fd) < 0)
		err(1, "fsync");
	return (double)mib / (now() - begin);
}

static double read_all(const char *path, long mib)
{
	int fd = open_or_die(path, O_RDONLY | O_DIRECT);
	void *p = block_of(BIG_BLOCK);
	double begin = now();

	for (long i = 0; i < mib; i++)
		if (read(fd, p, BIG_BLOCK) != BIG_BLOCK)
			err(1, "read");
	return (double)mib / (now() - begin);
}

static double at_random(const char *path, double seconds, int flags)
{
	int fd = open_or_die(path, flags | O_DIRECT);
	void *p = block_of(BLOCK);
	struct stat st;
	double begin = now();
	uint64_t x = 88172645463325252u, n = 0;

	if (fstat(fd, &st) < 0 || st.st_size < BLOCK)
		errx(1, "%s: write it first", path);
	do {
		off_t at = (off_t)((x = next(x)) % (uint64_t)(st.st_size / BLOCK)) * BLOCK;
		ssize_t got =
		    flags == O_RDONLY ? pread(fd, p, BLOCK, at) : pwrite(fd, p, BLOCK, at);

		if (got != BLOCK)
			err(1, "at %lld", (long long)at);
		n++;
	} while (now() - begin < seconds);
	return (double)n / (now() - begin);
}

int main(int argc, char **argv)
{
	const char *what = argc == 4 ? argv[1] : "";
	double got;

	if (!strcmp(what, "cpu"))
		got = cpu(atoi(argv[2]), atof(argv[3]));
	else if (!strcmp(what, "write"))
		got = write_all(argv[2], atol(argv[3]));
	else if (!strcmp(what, "read"))
		got = read_all(argv[2], atol(argv[3]));
	else if (!strcmp(what, "randread"))
		got = at_random(argv[2], atof(argv[3]), O_RDONLY);
	else if (!strcmp(what, "randwrite"))
		got = at_random(argv[2], atof(argv[3]), O_WRONLY);
	else
		errx(2,
		     "cpu THREADS SECONDS | write|read FILE MIB | randread|randwrite FILE SECONDS");
	printf("%.2f\n", got);
	return 0;
}
