/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A page of plots and tables that needs nothing from anywhere else. */
#ifndef PAGE_H
#define PAGE_H

#include "sheets.h"
#include "tally.h"

/* Into the file PATH, of the trace NAME; the first SHEETS of them as tables */
enum status page_write(const char *path, const char *name,
		       const struct tally *tally, const struct sheet *sheets,
		       size_t n);

#endif
