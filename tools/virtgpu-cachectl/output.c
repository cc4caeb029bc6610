// SPDX-License-Identifier: GPL-2.0-or-later
/* A file that a command makes, whole or not at all. */

#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MODE 0666			/* less umask */

enum status output_open(struct output *output, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);

	*output = (struct output) { .path = path, .is_new = fd >= 0 };
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, MODE);
	if (fd < 0)
		return file_failed(path);
	output->file = checked(fdopen(fd, "w"));
	return DONE;
}

enum status output_begin(struct output *output)
{
	output->is_begun = true;
	/* What is no file has no length to be cut to */
	if (!ftruncate(fileno(output->file), 0) || errno == EINVAL)
		return DONE;
	return file_failed(output->path);
}

/* A name that was there before stays: it may be a link, or somebody's */
static void discard(const struct output *output)
{
	int failed = 0;

	if (output->is_new)
		failed = unlink(output->path);
	else if (output->is_begun)
		failed = truncate(output->path, 0);
	if (failed && errno != EINVAL)
		advise("a part of it is left there: %s", strerror(errno));
}

enum status output_close(struct output *output)
{
	bool failed = fflush(output->file) || ferror(output->file);
	int error = errno;

	if (fclose(output->file) && !failed) {
		failed = true;
		error = errno;
	}
	if (output->is_whole && !failed)
		return DONE;
	if (output->is_whole)
		complain("%s: cannot be written: %s", output->path,
			 strerror(error));
	discard(output);
	return FAILED;
}
