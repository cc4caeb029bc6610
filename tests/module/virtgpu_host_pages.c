// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The guest's pages, as the simulated host has them.
 *
 * Every page of a backing is referenced here, so it is never freed under the
 * host, and never comes back as somebody else's.  A page that the driver has let
 * go of has lost its file, or the reference by which it was pinned.
 */

#include <linux/highmem.h>
#include <linux/jhash.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "virtgpu_host_model.h"

/* What a host writes that may still write. */
#define SCRIBBLE 0xd1

/* How many words of a page are looked at. */
#define SAMPLES 16

static unsigned long host_page_index(const struct host_page *page)
{
	return page_to_pfn(page->page);
}

/*
 * What is in a page, as a number; 0 if that is nothing.  Some words tell: who
 * zeroes a page does not leave them out.  A client may have written to it before
 * its ATTACH_BACKING arrives, so it says nothing about those that always write the
 * same: hence &host_model.check_content.
 */
static u32 host_sample(struct page *page)
{
	const u32 *words = kmap_local_page(page);
	u32 sample[SAMPLES];
	unsigned int i;

	for (i = 0; i < SAMPLES; i++)
		sample[i] = READ_ONCE(words[i * (PAGE_SIZE / 4 / SAMPLES)]);
	kunmap_local(words);
	if (!memchr_inv(sample, 0, sizeof(sample)))
		return 0;
	return jhash2(sample, SAMPLES, 0) | 1;
}

/*
 * Why the driver no longer has the page, or NULL.  References are the driver's,
 * the one here and that of the file; others come and go.
 */
static const char *host_page_lost(const struct host_page *page)
{
	struct folio *folio = page_folio(page->page);

	if (page->mapping && READ_ONCE(folio->mapping) != page->mapping)
		return "is no longer in its file";
	if (!folio_test_large(folio) &&
	    folio_ref_count(folio) < (page->mapping ? 3 : 2))
		return "is no longer pinned";
	return NULL;
}

static const char *host_find_lost(const struct host_resource *res,
				  unsigned long *index)
{
	const char *why;

	for (*index = 0; *index < res->nr_pages; ++*index) {
		why = host_page_lost(&res->pages[*index]);
		if (why)
			return why;
		cond_resched();
	}
	return NULL;
}

/**
 * host_check_pages - look after the pages of a resource
 * @model: the model
 * @res: the resource
 *
 * When one is lost it may be that the driver is about to reset the device, and has
 * stopped talking to it: that is for host_tell_lost() to find out.
 */
void host_check_pages(struct host_model *model, struct host_resource *res)
{
	if (res->lost || res->loose)
		return;
	res->lost = host_find_lost(res, &res->lost_page);
	if (res->lost)
		model->lost++;
}

static void host_tell_one(struct host_model *model, struct host_resource *res)
{
	if (!res->lost || res->told)
		return;
	res->told = true;
	model->lost--;
	host_model_accuse(model,
			  "page %lu of %lu of resource %u, which the host has, %s",
			  res->lost_page, res->nr_pages, res->id, res->lost);
}

/**
 * host_tell_lost - the driver still talks to the host
 * @model: the model
 */
void host_tell_lost(struct host_model *model)
{
	struct host_resource *res;
	unsigned long id;

	if (!model->lost)
		return;
	xa_for_each(&model->resources, id, res)
		host_tell_one(model, res);
}

/* Returns false when there is no such page, or nobody has it. */
static bool host_take_page(struct host_model *model, struct host_resource *res,
			   unsigned long pfn)
{
	struct page *page = pfn_valid(pfn) ? pfn_to_page(pfn) : NULL;
	struct host_page *to = &res->pages[res->nr_pages];
	void *owner, *left;

	if (!page || !folio_try_get(page_folio(page)))
		return false;
	to->page = page;
	to->mapping = READ_ONCE(page_folio(page)->mapping);

	owner = xa_store(&model->owners, pfn, xa_mk_value(res->id), HOST_GFP);
	if (owner)
		host_model_accuse(model, "page %lu of resource %u still backs resource %lu",
				  res->nr_pages, res->id, xa_to_value(owner));
	left = xa_erase(&model->left, pfn);
	if (model->check_content && left &&
	    xa_to_value(left) == host_sample(page))
		host_model_accuse(model, "page %lu of resource %u has what it had in another one",
				  res->nr_pages, res->id);
	res->nr_pages++;
	model->pages++;
	return true;
}

static void host_scribble(struct page *page, size_t bytes)
{
	void *p = kmap_local_page(page);

	memset(p, SCRIBBLE, bytes);
	kunmap_local(p);
}

static void host_put_page(struct host_model *model, struct host_resource *res,
			  struct host_page *page)
{
	unsigned long pfn = host_page_index(page);

	if (xa_load(&model->owners, pfn) == xa_mk_value(res->id))
		xa_erase(&model->owners, pfn);
	folio_put(page_folio(page->page));
	model->pages--;
}

/**
 * host_put_pages - let go of the pages of a resource
 * @model: the model
 * @res: the resource
 */
void host_put_pages(struct host_model *model, struct host_resource *res)
{
	unsigned long i;

	for (i = 0; i < res->nr_pages; i++) {
		host_put_page(model, res, &res->pages[i]);
		cond_resched();
	}
	kvfree(res->pages);
	res->pages = NULL;
	res->nr_pages = 0;
}

/**
 * host_return_pages - give the driver the pages of a resource back
 * @model: the model
 * @res: the resource
 *
 * It shall zero them before it uses them again.
 */
void host_return_pages(struct host_model *model, struct host_resource *res)
{
	unsigned long i;
	u32 sample;

	host_check_pages(model, res);
	host_tell_one(model, res);
	for (i = 0; i < res->nr_pages; i++) {
		struct page *page = res->pages[i].page;

		if (model->scribble && !res->lost)
			host_scribble(page, PAGE_SIZE);
		sample = host_sample(page);
		if (sample)
			xa_store(&model->left, host_page_index(&res->pages[i]),
				 xa_mk_value(sample), HOST_GFP);
		cond_resched();
	}
	host_put_pages(model, res);
}

/* Returns how many pages they are, 0 when they are not whole pages. */
static unsigned long host_count_pages(const struct virtio_gpu_mem_entry *entry,
				      u32 nr)
{
	unsigned long pages = 0;
	u32 i;

	for (i = 0; i < nr; i++) {
		u64 addr = le64_to_cpu(entry[i].addr);
		u32 length = le32_to_cpu(entry[i].length);

		if (!length || !IS_ALIGNED(addr | length, PAGE_SIZE))
			return 0;
		pages += length >> PAGE_SHIFT;
	}
	return pages;
}

static bool host_take_entry(struct host_model *model, struct host_resource *res,
			    const struct virtio_gpu_mem_entry *entry)
{
	unsigned long pfn = le64_to_cpu(entry->addr) >> PAGE_SHIFT;
	unsigned long pages = le32_to_cpu(entry->length) >> PAGE_SHIFT;
	unsigned long i;

	for (i = 0; i < pages; i++) {
		if (!host_take_page(model, res, pfn + i))
			return false;
		cond_resched();
	}
	return true;
}

/**
 * host_take_pages - get the backing of a resource
 * @model: the model
 * @req: the command, which is followed by what the pages are
 * @res: the resource
 * @nr: so many entries
 */
void host_take_pages(struct host_model *model, struct host_request *req,
		     struct host_resource *res, u32 nr)
{
	const struct virtio_gpu_mem_entry *entry =
		(void *)req->cmd + req->kind->size;
	size_t room = (req->len - req->kind->size) / sizeof(*entry);
	unsigned long pages = nr <= room ? host_count_pages(entry, nr) : 0;
	u32 i;

	if (!pages || pages > totalram_pages()) {
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			    "the list of pages is wrong");
		return;
	}
	res->pages = kvmalloc_objs(*res->pages, pages, HOST_GFP);
	for (i = 0; i < nr; i++) {
		if (host_take_entry(model, res, &entry[i]))
			continue;
		host_accuse(model, req, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
			    "a page of the backing is free memory");
		host_put_pages(model, res);
		return;
	}
}

/**
 * host_touch_pages - write to the pages of a resource
 * @res: the resource
 */
void host_touch_pages(struct host_resource *res)
{
	unsigned long i;

	for (i = 0; i < res->nr_pages; i++)
		host_scribble(res->pages[i].page, sizeof(long));
}

/* Within a page. */
static void host_move_bytes(struct host_resource *res, u64 offset, u64 pos,
			    size_t len, bool to_host)
{
	struct page *page = res->pages[offset >> PAGE_SHIFT].page;
	u8 *p = (u8 *)kmap_local_page(page) + offset_in_page(offset);

	if (to_host)
		memcpy(res->copy + pos, p, len);
	else if (res->copy)
		memcpy(p, res->copy + pos, len);
	else
		memset(p, 0, len);
	kunmap_local(p);
}

static void host_move_row(struct host_resource *res, u64 offset, u64 pos,
			  u64 len, bool to_host)
{
	size_t n;

	for (; len; len -= n) {
		n = min(len, PAGE_SIZE - offset_in_page(offset));
		host_move_bytes(res, offset, pos, n, to_host);
		offset += n;
		pos += n;
		cond_resched();
	}
}

/**
 * host_move_region - move content between guest and host
 * @res: the resource, with a copy unless it is to be zero
 * @region: a region of it; what is not in the backing is left out
 * @to_host: which way
 */
void host_move_region(struct host_resource *res, struct host_region *region,
		      bool to_host)
{
	u64 bytes = (u64)res->nr_pages << PAGE_SHIFT;
	u64 len = (u64)region->w * res->pixel_size, offset, row;
	u32 y, z;

	for (z = 0; len && z < region->d; z++) {
		for (y = 0; y < region->h; y++) {
			offset = size_add(region->offset,
					  z * region->layer_stride +
					  y * region->stride);
			if (size_add(offset, len) > bytes)
				return;
			row = (u64)(region->z + z) * res->height +
			      region->y + y;
			host_move_row(res, offset,
				      (row * res->width + region->x) *
				      res->pixel_size, len, to_host);
		}
	}
}
