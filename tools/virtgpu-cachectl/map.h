/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers by number, for as many as there are. */
#ifndef MAP_H
#define MAP_H

#include <stddef.h>
#include <stdint.h>

struct map {
	struct map_slot *v;
	size_t slots;			/* a power of two, or 0 */
	size_t n;
};

/* Where the value of KEY is; it is made, and 0, if there is none */
uint64_t *map_at(struct map *map, uint64_t key);
void map_free(struct map *map);

#endif
