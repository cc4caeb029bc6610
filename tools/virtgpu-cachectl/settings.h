/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Knobs and what they are to be set to. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "attrs.h"

struct setting {
	const struct attr *attr;
	char *text;			/* as the file takes it */
};

struct settings {
	struct setting *v;
	size_t n;
};

#endif
