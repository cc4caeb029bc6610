/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model of the driver's cache: what it would have done with another timeout
 * and limit, by the creates and frees of a trace.
 *
 * What does not depend on these it takes from the trace: which BOs may be kept,
 * when files are closed, when the host has let go, and what memory pressure
 * took.
 */
#ifndef MODEL_H
#define MODEL_H

#include "trace.h"

/* For either of them: as it was when the trace was recorded */
#define MODEL_AS_RECORDED UINT64_MAX

/**
 * struct model_result - what it has come to
 * @creates: BOs asked for while the cache was on
 * @hits: of those, served from a tier
 * @byte_ns: bytes held times how long, nanoseconds
 * @peak: the most bytes held at a time
 */
struct model_result {
	uint64_t creates;
	uint64_t hits[TIERS];
	double byte_ns;
	uint64_t peak;
};

struct model;

struct model *model_new(uint64_t timeout_ms, uint64_t max_bytes);
void model_event(struct model *model, const struct trace_event *event);
/* What has come of it until NS */
struct model_result model_result(struct model *model, uint64_t ns);
void model_free(struct model *model);

#endif
