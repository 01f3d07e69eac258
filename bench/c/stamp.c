/* stamp FIFO: the service of the benchmark. The first thing that it does is to
 * look at the clock; it says when that was, and sleeps. */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t said[2] = { now.tv_sec * 1000000000LL + now.tv_nsec, getpid() };
	int fifo = argc > 1 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;
	if (fifo < 0 || write(fifo, said, sizeof said) != sizeof said)
		return 1;
	close(fifo);
	for (;;)
		pause();
}
