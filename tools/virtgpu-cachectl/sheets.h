/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several tables that belong together: as text, as one JSON object, as HTML. */
#ifndef SHEETS_H
#define SHEETS_H

#include <stdio.h>

#include "table.h"

/**
 * struct sheet - a table
 * @title: what stands above it
 * @table: its name is its key in JSON
 */
struct sheet {
	const char *title;
	struct libscols_table *table;
};

/* Prints them, with their titles or as JSON, and frees them */
enum status sheets_end(const struct sheet *sheets, size_t n,
		       const struct options *opts);

/* Text with what HTML has characters for */
void html_text(FILE *file, const char *text);
/* One as an HTML table; it stays */
void html_sheet(FILE *file, const struct sheet *sheet);

#endif
