// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QEMU's monitor from within the guest: tests/run leads a virtio port to it.
 */
#include "virtgpu.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int port = -1;

static void find_port(char *path, size_t size)
{
	glob_t g;

	path[0] = 0;
	if (glob("/sys/class/virtio-ports/*/name", 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		char name[32];

		if (try_file_read(g.gl_pathv[i], name, sizeof(name)) ||
		    strcmp(name, "qmp\n"))
			continue;
		*strrchr(g.gl_pathv[i], '/') = 0;
		snprintf(path, size, "/dev/%s",
			 strrchr(g.gl_pathv[i], '/') + 1);
	}
	globfree(&g);
}

/* One line; events and the greeting are lines of their own */
static const char *next_line(void)
{
	static char buf[65536], line[65536];
	static size_t len;
	struct pollfd in = { .fd = port, .events = POLLIN };
	char *end;
	ssize_t n;

	while (!(end = memchr(buf, '\n', len))) {
		must(poll(&in, 1, HANG_MS) == 1);
		n = read(port, buf + len, sizeof(buf) - len);
		must(n > 0);
		len += n;
	}
	memcpy(line, buf, end - buf);
	line[end - buf] = 0;
	len -= end + 1 - buf;
	memmove(buf, end + 1, len);
	return line;
}

static const char *next_answer(void)
{
	const char *line;

	do {
		line = next_line();
	} while (strncmp(line, "{\"return\"", 9) &&
		 strncmp(line, "{\"error\"", 8));
	return line;
}

const char *qmp(const char *commands)
{
	const char *answer = NULL;

	must(write(port, commands, strlen(commands)) ==
	     (ssize_t)strlen(commands));
	for (; *commands; commands++)
		if (*commands == '\n')
			answer = next_answer();
	return answer;
}

void need_qmp(void)
{
	char path[PATH_MAX];

	if (port < 0) {
		find_port(path, sizeof(path));
		if (!path[0])
			skip();
		port = open(path, O_RDWR | O_CLOEXEC);
		must(port >= 0);
		/* An error if another program has said so before */
		qmp("{\"execute\": \"qmp_capabilities\"}\n");
	}
}
