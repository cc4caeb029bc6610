// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers by number. */

#include "map.h"

#include <stdbool.h>
#include <stdlib.h>

#include "cachectl.h"

#define SLOTS_MIN 64

struct map_slot {
	uint64_t key;
	uint64_t value;
	bool used;
};

/* Its slot, or the free one that it would have */
static struct map_slot *find(const struct map *map, uint64_t key)
{
	size_t i = key * 0x9e3779b97f4a7c15 >> 32;

	for (;; i++) {
		struct map_slot *slot = &map->v[i & (map->slots - 1)];

		if (!slot->used || slot->key == key)
			return slot;
	}
}

/* Half of the slots stay free */
static void grow(struct map *map)
{
	struct map old = *map;

	map->slots = old.slots ? 2 * old.slots : SLOTS_MIN;
	map->v = checked(calloc(map->slots, sizeof(*map->v)));
	for (size_t i = 0; i < old.slots; i++)
		if (old.v[i].used)
			*find(map, old.v[i].key) = old.v[i];
	free(old.v);
}

uint64_t *map_at(struct map *map, uint64_t key)
{
	struct map_slot *slot;

	if (2 * map->n >= map->slots)
		grow(map);
	slot = find(map, key);
	if (!slot->used) {
		*slot = (struct map_slot) { .key = key, .used = true };
		map->n++;
	}
	return &slot->value;
}

void map_free(struct map *map)
{
	free(map->v);
	*map = (struct map) { 0 };
}
