/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the files of the simulated host's model share.
 */
#ifndef VIRTGPU_HOST_MODEL_H
#define VIRTGPU_HOST_MODEL_H

#include "virtgpu_host.h"

struct address_space;
struct page;

struct host_page {
	struct page *page;
	struct address_space *mapping;	/* NULL: it is no file's */
};

struct host_resource {
	struct list_head kept;
	u32 id;
	u32 width, height, layers;
	u32 pixel_size;			/* bytes; a buffer's pixel is a byte */
	u64 size;			/* of the content, bytes */
	u8 *copy;			/* the content; NULL: zero */
	struct host_page *pages;
	unsigned long nr_pages;
	struct xarray attached;		/* contexts, with how often */
	const char *lost;		/* why the driver has a page no more */
	unsigned long lost_page;
	bool told;			/* about it */
	bool absent;			/* refused to make it */
	bool refused;			/* refused something else about it */
	bool loose;			/* the driver may let its pages go */
	bool memory;			/* has memory of its own on the host */
	bool released;			/* not answered yet */
};

/* A box of a resource, and where its backing has it. */
struct host_region {
	u32 x, y, z, w, h, d;
	u64 offset, stride, layer_stride;
};

void host_accuse(struct host_model *model, struct host_request *req, u32 error,
		 const char *what);

void host_take_pages(struct host_model *model, struct host_request *req,
		     struct host_resource *res, u32 nr);
void host_return_pages(struct host_model *model, struct host_resource *res);
void host_put_pages(struct host_model *model, struct host_resource *res);
void host_check_pages(struct host_model *model, struct host_resource *res);
void host_tell_lost(struct host_model *model);
void host_touch_pages(struct host_resource *res);
void host_move_region(struct host_resource *res, struct host_region *region,
		      bool to_host);

void host_free(struct host_model *model, struct host_resource *res);
void host_keep(struct host_model *model, struct host_resource *res);

extern const struct host_kind host_kinds[];
extern const unsigned int host_nr_kinds;

#endif
