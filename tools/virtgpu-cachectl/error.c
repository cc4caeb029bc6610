// SPDX-License-Identifier: GPL-2.0-or-later
/* Errors, and the helpers that can only fail for want of memory. */

#include "cachectl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *before, const char *fmt, va_list args)
{
	fflush(stdout);
	fputs(before, stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

void complain(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("virtgpu-cachectl: ", fmt, args);
	va_end(args);
}

void advise(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("  ", fmt, args);
	va_end(args);
}

enum status status_of(int error)
{
	switch (error) {
	case 0:
		return DONE;
	case EACCES:
	case EPERM:
	case EROFS:
		return DENIED;
	case ENOENT:
	case ENODEV:
		return NO_DEVICE;
	default:
		return FAILED;
	}
}

enum status file_failed(const char *path)
{
	int error = errno;

	complain("%s: %s", path, strerror(error));
	return status_of(error) == DENIED ? DENIED : FAILED;
}

void *checked(void *memory)
{
	if (memory)
		return memory;
	complain("out of memory");
	exit(FAILED);
}

void *grown(void *array, size_t n, size_t size)
{
	return checked(reallocarray(array, n + 1, size));
}

char *format(const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	return checked(len < 0 ? NULL : text);
}

enum status end_of_output(enum status status)
{
	if (!ferror(stdout) && !fflush(stdout))
		return status;
	complain("cannot write the output: %s", strerror(errno));
	return FAILED;
}

bool colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) &&
	       term && strcmp(term, "dumb");
}
