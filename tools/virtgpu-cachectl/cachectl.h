/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtgpu-cachectl: what all of its files share.
 *
 * Each command is a function of its options and arguments that returns an
 * exit status; main.c has the tables of both.
 */
#ifndef CACHECTL_H
#define CACHECTL_H

#include <stdbool.h>
#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The exit status */
enum status {
	DONE = 0,
	FAILED = 1,
	USAGE = 2,
	NO_DEVICE = 3,
	DENIED = 4,
};

struct options {
	const char *device;		/* only this one */
	const char *columns;		/* --output */
	const char *tier;
	const char *all;		/* --all: how long */
	const char *file;
	const char *html;
	const char *cgroup;
	const char *stall;		/* --stall: a time */
	const char *cool_down;
	bool all_columns;
	bool list_columns;
	bool json;
	bool noheadings;
	bool raw;
	bool bytes;			/* print plain numbers */
	bool persist;
	bool wait;
	bool once;
	bool dry_run;
};

typedef enum status command_fn(const struct options *opts, int argc,
			       char **argv);
command_fn cmd_list, cmd_show, cmd_get, cmd_set, cmd_reset, cmd_purge, cmd_top,
	   cmd_stat, cmd_metrics, cmd_doctor, cmd_record, cmd_report,
	   cmd_advise, cmd_host;

/*
 * Errors: complain() says what went wrong and where, advise() what to do about
 * it.
 */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void advise(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
enum status status_of(int error);	/* an errno */
/* Says what errno is about a file; a lack of the file is no lack of a device */
enum status file_failed(const char *path);

/* Memory; none left ends the program */
void *checked(void *memory);
void *grown(void *array, size_t n, size_t size);	/* by one element */
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Standard output was written to the end */
enum status end_of_output(enum status status);

/* Colours are wanted */
bool colours(void);

#endif
