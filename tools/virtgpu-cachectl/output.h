/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that a command makes, whole or not at all: what goes wrong before the
 * first byte is written leaves what was there, and what goes wrong later leaves no
 * part of it.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdio.h>

#include "cachectl.h"

/**
 * struct output - the file
 * @path: what it is called
 * @file: to write to, after output_begin()
 * @is_new: it was not there before
 * @is_begun: what was there before is lost
 * @is_whole: set by who wrote all there is to it
 */
struct output {
	const char *path;
	FILE *file;
	bool is_new;
	bool is_begun;
	bool is_whole;
};

/* All of these complain */
enum status output_open(struct output *output, const char *path);
enum status output_begin(struct output *output);
/* Fails also if it is not whole, without a word: who knows why has complained */
enum status output_close(struct output *output);

#endif
