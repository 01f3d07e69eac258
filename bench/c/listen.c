/* listen LINK PROGRAM ARG...: starts the program when the link gets its
 * carrier. The least that a C program can do about it. */
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

extern unsigned if_nametoindex(const char *);

int main(int argc, char **argv)
{
	static char buf[65536] __attribute__((aligned(8)));
	struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int index = argc > 2 ? if_nametoindex(argv[1]) : 0;
	if (!index || s < 0 || bind(s, (struct sockaddr *)&at, sizeof at) || write(1, "\n", 1) != 1)
		return 1;
	for (pid_t child = 0; !child; ) {
		int n = recv(s, buf, sizeof buf, 0);
		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			struct ifinfomsg *link = NLMSG_DATA(h);
			if (h->nlmsg_type != RTM_NEWLINK || link->ifi_index != index || child)
				continue;
			if (!(link->ifi_flags & IFF_LOWER_UP) || !(link->ifi_flags & IFF_RUNNING))
				continue;
			if (!(child = vfork())) {
				execv(argv[2], argv + 2);
				_exit(127);
			}
		}
	}
	for (;;)
		pause();
}
