/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libsmartcols as the commands use it: what fails there ends the program. */
#ifndef TABLE_H
#define TABLE_H

#include <libsmartcols.h>

#include "cachectl.h"
#include "units.h"

struct libscols_table *table_new(const char *name, const struct options *opts);

/* Numbers stand right; in JSON they are numbers if they are printed plain */
enum column_type {
	COLUMN_TEXT, COLUMN_RIGHT, COLUMN_NUMBER, COLUMN_QUANTITY, COLUMN_TREE
};
void table_column(struct libscols_table *table, const char *name,
		  enum column_type type, const struct options *opts);

struct libscols_line *table_line(struct libscols_table *table,
				 struct libscols_line *parent);
/* TEXT is freed with the table, and may be NULL */
void table_cell(struct libscols_line *line, size_t column, char *text);

/* Prints the table and frees it */
enum status table_end(struct libscols_table *table);

/* Frees it, and returns what it would have printed */
char *table_end_text(struct libscols_table *table);

#endif
