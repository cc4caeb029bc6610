// SPDX-License-Identifier: GPL-2.0-or-later
/* libsmartcols as the commands use it. */

#include "table.h"

#include <langinfo.h>
#include <string.h>

/* Nothing that it is asked for here can fail but for want of memory. */
static void must(int error)
{
	if (error)
		checked(NULL);
}

struct libscols_table *table_new(const char *name, const struct options *opts)
{
	struct libscols_table *table = checked(scols_new_table());

	must(scols_table_set_name(table, name));
	must(scols_table_enable_json(table, opts->json));
	must(scols_table_enable_raw(table, opts->raw));
	must(scols_table_enable_noheadings(table, opts->noheadings));
	must(scols_table_enable_colors(table, colours() && !opts->json));
	must(scols_table_enable_ascii(table, strcmp(nl_langinfo(CODESET),
						    "UTF-8")));
	return table;
}

void table_column(struct libscols_table *table, const char *name,
		  enum column_type type, const struct options *opts)
{
	int flags = type == COLUMN_TREE ? SCOLS_FL_TREE :
		    type == COLUMN_TEXT ? 0 : SCOLS_FL_RIGHT;
	struct libscols_column *column =
		checked(scols_table_new_column(table, name, 0, flags));

	if (type == COLUMN_NUMBER ||
	    (type == COLUMN_QUANTITY && opts->bytes))
		must(scols_column_set_json_type(column, SCOLS_JSON_NUMBER));
}

struct libscols_line *table_line(struct libscols_table *table,
				 struct libscols_line *parent)
{
	return checked(scols_table_new_line(table, parent));
}

void table_cell(struct libscols_line *line, size_t column, char *text)
{
	if (text)
		must(scols_line_refer_data(line, column, text));
}

enum status table_end(struct libscols_table *table)
{
	int error = scols_print_table(table);

	scols_unref_table(table);
	if (!error)
		return DONE;
	complain("cannot print the table: %s", strerror(-error));
	return FAILED;
}

char *table_end_text(struct libscols_table *table)
{
	char *text = NULL;

	must(scols_print_table_to_string(table, &text));
	scols_unref_table(table);
	return text;
}
