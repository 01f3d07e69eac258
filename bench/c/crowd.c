/* crowd N PROGRAM ARG...: starts the program N times, as fast as a plain loop
 * can, when a byte comes in. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char go;
	if (argc < 3 || write(1, "\n", 1) != 1 || read(0, &go, 1) != 1)
		return 1;
	for (int n = atoi(argv[1]); n > 0; n--) {
		pid_t child = vfork();
		if (!child) {
			execv(argv[2], argv + 2);
			_exit(127);
		}
		if (child < 0)
			return 1;
	}
	for (;;)
		pause();
}
