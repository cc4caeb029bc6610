// SPDX-License-Identifier: GPL-2.0-or-later
/* Small files below the root folder. */

#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cachectl.h"

/* Without one, paths are taken as they are. */
static int root = AT_FDCWD;

int root_set(const char *path)
{
	root_close();
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root >= 0)
		return 0;
	root = AT_FDCWD;
	return errno;
}

bool root_is_other(void)
{
	return root != AT_FDCWD;
}

void root_close(void)
{
	if (root != AT_FDCWD)
		close(root);
	root = AT_FDCWD;
}

static const char *below_root(const char *path)
{
	return root == AT_FDCWD ? path : path + strspn(path, "/");
}

static int open_at(const char *path, int flags)
{
	return openat(root, below_root(path), flags | O_CLOEXEC, 0644);
}

bool file_exists(const char *path)
{
	return !faccessat(root, below_root(path), F_OK, 0);
}

FILE *file_open(const char *path)
{
	int fd = open_at(path, O_RDONLY);
	FILE *file;

	if (fd < 0)
		return NULL;
	file = fdopen(fd, "r");
	if (!file)
		close(fd);
	return file;
}

DIR *dir_open(const char *path)
{
	int fd = open_at(path, O_RDONLY | O_DIRECTORY);
	DIR *dir;

	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

int file_read(const char *path, char **text)
{
	FILE *file = file_open(path);
	size_t size = 0;
	ssize_t len;
	int error;

	*text = NULL;
	if (!file)
		return errno;
	errno = 0;
	len = getdelim(text, &size, '\0', file);
	/* An empty file is no error */
	error = len < 0 ? errno : 0;
	if (len < 0) {
		free(*text);
		*text = error ? NULL : checked(strdup(""));
	}
	fclose(file);
	return error;
}

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	/* A knob takes what it is told in one piece */
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	return (size_t)n == len ? 0 : EIO;
}

int file_write(const char *path, const char *text)
{
	int fd = open_at(path, O_WRONLY | O_TRUNC);
	int error;

	if (fd < 0)
		return errno;
	error = write_all(fd, text);
	if (close(fd) && !error)
		error = errno;
	return error;
}

int file_remove(const char *path)
{
	return unlinkat(root, below_root(path), 0) ? errno : 0;
}

static int dir_sync(const char *file)
{
	char *dir = checked(strndup(file, strrchr(file, '/') - file));
	int fd = open_at(dir, O_RDONLY | O_DIRECTORY);
	int error = 0;

	free(dir);
	if (fd < 0)
		return errno;
	if (fsync(fd))
		error = errno;
	close(fd);
	return error;
}

int file_replace(const char *path, const char *text)
{
	char *temporary = format("%s.%ld", path, (long)getpid());
	int fd = open_at(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
	int error;

	if (fd < 0) {
		error = errno;
		goto out_free;
	}
	error = write_all(fd, text);
	/* Whatever umask says: it is for everybody to read */
	if (!error && (fchmod(fd, 0644) || fsync(fd)))
		error = errno;
	if (close(fd) && !error)
		error = errno;
	if (!error && renameat(root, below_root(temporary), root,
			       below_root(path)))
		error = errno;
	if (error)
		file_remove(temporary);
	else
		error = dir_sync(path);
out_free:
	free(temporary);
	return error;
}

char *link_read(const char *path)
{
	char text[PATH_MAX];
	ssize_t len = readlinkat(root, below_root(path), text, sizeof(text));

	/* One that fills all of it may have been cut off */
	if (len < 0 || (size_t)len == sizeof(text))
		return NULL;
	return checked(strndup(text, len));
}
