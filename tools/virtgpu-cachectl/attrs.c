// SPDX-License-Identifier: GPL-2.0-or-later
/* The knobs and counters of a device's cache. */

#include "attrs.h"

#include <assert.h>
#include <string.h>

#include "cachectl.h"
#include "device.h"

#define HITS(_tier, _TIER, _help) \
	{ "hits_" _tier, "HITS-" _TIER, _help, "hits", "tier=\"" _tier "\"", \
	  UNIT_NONE, COUNTER, false }
#define PURGED(_reason, _REASON, _help) \
	{ "purged_" _reason, "PURGED-" _REASON, _help, "purged", \
	  "reason=\"" _reason "\"", UNIT_NONE, COUNTER, false }
#define REJECTED(_reason, _REASON, _help) \
	{ "rejected_" _reason, "REJECTED-" _REASON, _help, "rejected", \
	  "reason=\"" _reason "\"", UNIT_NONE, COUNTER, false }
#define HELD(_tier, _TIER, _COLUMN, _help) \
	{ "held_" _tier "_bos", _TIER "-BOS", _help, "held_bos", \
	  "tier=\"" _tier "\"", UNIT_NONE, GAUGE, false }, \
	{ "held_" _tier "_bytes", _COLUMN, _help ", their backing", \
	  "held_bytes", "tier=\"" _tier "\"", UNIT_BYTES, GAUGE, false }
#define OTHER(_name, _COLUMN, _metric, _unit, _kind, _help) \
	{ _name, _COLUMN, _help, _metric, NULL, _unit, _kind, false }
#define SUM(_name, _COLUMN, _help) \
	{ _name, _COLUMN, _help, _name, NULL, UNIT_NONE, COUNTER, true }

const struct attr attrs[] = {
	OTHER("enabled", "ENABLED", "enabled", UNIT_SWITCH, KNOB,
	      "whether freed BOs are kept"),
	OTHER("timeout_ms", "TIMEOUT", "timeout_seconds", UNIT_MS, KNOB,
	      "how long they are kept"),
	OTHER("max_bytes", "LIMIT", "limit_bytes", UNIT_BYTES, KNOB,
	      "how much is held in the resource and pages tiers together"),
	OTHER("puts", "PUTS", "puts", UNIT_NONE, COUNTER,
	      "BOs that entered the cache"),
	HITS("resource", "RESOURCE", "handed out with their host resource"),
	HITS("pages", "PAGES", "handed out as zeroed pages"),
	HITS("purgeable", "PURGEABLE",
	     "purgeable, and given back to their client"),
	OTHER("misses", "MISSES", "misses", UNIT_NONE, COUNTER,
	      "creates that found nothing"),
	OTHER("demotions", "DEMOTIONS", "demotions", UNIT_NONE, COUNTER,
	      "went from the resource to the pages tier"),
	OTHER("expired", "EXPIRED", "expired", UNIT_NONE, COUNTER,
	      "dropped because of their age"),
	SUM("purged", "PURGED", "dropped for another reason"),
	PURGED("limit", "LIMIT", "to make room under the limit"),
	PURGED("alloc", "ALLOC", "an allocation had failed"),
	PURGED("admin", "ADMIN", "somebody purged them"),
	PURGED("disabled", "DISABLED", "the cache was switched off"),
	PURGED("drain", "DRAIN", "the driver was unbound"),
	PURGED("refused", "REFUSED", "the host refused them"),
	PURGED("pressure", "PRESSURE", "the kernel wanted the memory"),
	PURGED("host", "HOST", "the host was out of memory"),
	PURGED("closed", "CLOSED", "purgeable, and closed"),
	OTHER("dropped", "DROPPED", "dropped", UNIT_NONE, COUNTER,
	      "purgeable, and their content is lost"),
	SUM("rejected", "REJECTED",
	    "freed, and did not enter the resource tier"),
	REJECTED("shared", "SHARED",
		 "had been exported, flinked or opened twice"),
	REJECTED("custom", "CUSTOM", "bind CUSTOM"),
	REJECTED("blob", "BLOB", "a blob"),
	REJECTED("busy", "BUSY", "a fence had not signalled"),
	REJECTED("owner", "OWNER", "their file was closed"),
	REJECTED("refused", "REFUSED", "the host had refused them"),
	REJECTED("disabled", "DISABLED", "the cache was off"),
	REJECTED("size", "SIZE", "too large"),
	REJECTED("foreign", "FOREIGN", "the pages were not the guest's own"),
	REJECTED("gone", "GONE", "the driver was being unbound"),
	REJECTED("pressure", "PRESSURE", "memory had been short a moment ago"),
	REJECTED("tight", "TIGHT", "their memory cgroup had little room left"),
	REJECTED("nomem", "NOMEM", "no memory for the cache's own needs"),
	HELD("resource", "RESOURCE", "RESOURCE",
	     "held with their host resource"),
	HELD("pages", "PAGES", "PAGES", "held as pages"),
	HELD("purgeable", "PURGEABLE", "PURGEABLE",
	     "open, but their client can do without"),
	OTHER("release_bos", "RELEASE-BOS", "release_bos", UNIT_NONE, GAUGE,
	      "on the way to the host"),
	OTHER("release_bytes", "RELEASE", "release_bytes", UNIT_BYTES, GAUGE,
	      "on the way to the host, their backing"),
	OTHER("backoffs", "BACKOFFS", "backoffs", UNIT_NONE, COUNTER,
	      "times that BOs were kept out because memory was short"),
	OTHER("backoff_ms", "BACKOFF", "backoff_seconds", UNIT_MS, GAUGE,
	      "how long the last of these was to last"),
};

static_assert(ARRAY_SIZE(attrs) == ATTRS, "ATTRS is how many there are");

const struct attr *attr_find(const char *name)
{
	for (size_t i = 0; i < ATTRS; i++)
		if (!strcmp(attrs[i].name, name))
			return &attrs[i];
	return NULL;
}

char *attr_path(const struct attr *attr, const char *device)
{
	return format(DRIVER_PATH "/%s/bo_cache/%s%s", device,
		      attr->kind == KNOB ? "" : "stats/", attr->name);
}

uint64_t snapshot_value(const struct snapshot *snapshot, const char *name)
{
	const struct attr *attr = attr_find(name);

	assert(attr);
	return snapshot->value[attr - attrs];
}
