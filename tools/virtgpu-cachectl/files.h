/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small files below the root folder, which is "/" unless --sysroot says
 * otherwise.  Paths are absolute.  What returns int returns 0 or an errno.
 */
#ifndef FILES_H
#define FILES_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>

int root_set(const char *path);
bool root_is_other(void);		/* these are not this machine's files */
void root_close(void);

bool file_exists(const char *path);
int file_read(const char *path, char **text);	/* the caller frees it */
int file_write(const char *path, const char *text);
int file_remove(const char *path);
/* In one step, so that nobody ever sees a part of it */
int file_replace(const char *path, const char *text);
FILE *file_open(const char *path);		/* to read */
DIR *dir_open(const char *path);
char *link_read(const char *path);		/* NULL, or the caller frees it */

#endif
