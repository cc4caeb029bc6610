/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Trace events of the BO cache.  Names and fields are an interface; see
 * Documentation/gpu/virtio-gpu-bo-cache.rst.
 */
#if !defined(VIRTGPU_BO_CACHE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VIRTGPU_BO_CACHE_TRACE_H

#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/time64.h>
#include <linux/tracepoint.h>

#include "virtgpu_bo_cache.h"

#undef TRACE_SYSTEM
#define TRACE_SYSTEM virtio_gpu_bo_cache

TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_EXPIRED);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_LIMIT);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_ALLOC);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_ADMIN);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_DISABLED);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_DRAIN);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_REFUSED);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_PRESSURE);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_HOST);
TRACE_DEFINE_ENUM(VIRTGPU_BO_EVICT_CLOSED);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_NONE);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_SHARED);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_CUSTOM);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_BLOB);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_BUSY);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_OWNER);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_REFUSED);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_DISABLED);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_SIZE);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_FOREIGN);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_GONE);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_PRESSURE);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_TIGHT);
TRACE_DEFINE_ENUM(VIRTGPU_BO_REJECT_NOMEM);
TRACE_DEFINE_ENUM(VIRTGPU_BO_TIER_NONE);
TRACE_DEFINE_ENUM(VIRTGPU_BO_TIER_RESOURCE);
TRACE_DEFINE_ENUM(VIRTGPU_BO_TIER_PAGES);
TRACE_DEFINE_ENUM(VIRTGPU_BO_TIER_PURGEABLE);

TRACE_DEFINE_ENUM(VIRTGPU_BO_MISS_EMPTY);
TRACE_DEFINE_ENUM(VIRTGPU_BO_MISS_SIZE);
TRACE_DEFINE_ENUM(VIRTGPU_BO_MISS_CGROUP);
TRACE_DEFINE_ENUM(VIRTGPU_BO_MISS_OWNER);
TRACE_DEFINE_ENUM(VIRTGPU_BO_MISS_IDENT);
TRACE_DEFINE_ENUM(VIRTGPU_BO_MISS_BUSY);
TRACE_DEFINE_ENUM(VIRTGPU_BO_MISS_BACKOFF);
TRACE_DEFINE_ENUM(VIRTGPU_BO_KIND_BLOB);
TRACE_DEFINE_ENUM(VIRTGPU_BO_KIND_2D);
TRACE_DEFINE_ENUM(VIRTGPU_BO_KIND_3D);
TRACE_DEFINE_ENUM(VIRTGPU_BO_KIND_BUFFER);

#define bo_cache_show_tier(tier) \
	__print_symbolic(tier, \
			 { VIRTGPU_BO_TIER_NONE, "none" }, \
			 { VIRTGPU_BO_TIER_RESOURCE, "resource" }, \
			 { VIRTGPU_BO_TIER_PAGES, "pages" }, \
			 { VIRTGPU_BO_TIER_PURGEABLE, "purgeable" })

#define bo_cache_show_evict(reason) \
	__print_symbolic(reason, \
			 { VIRTGPU_BO_EVICT_EXPIRED, "expired" }, \
			 { VIRTGPU_BO_EVICT_LIMIT, "limit" }, \
			 { VIRTGPU_BO_EVICT_ALLOC, "alloc" }, \
			 { VIRTGPU_BO_EVICT_ADMIN, "admin" }, \
			 { VIRTGPU_BO_EVICT_DISABLED, "disabled" }, \
			 { VIRTGPU_BO_EVICT_DRAIN, "drain" }, \
			 { VIRTGPU_BO_EVICT_REFUSED, "refused" }, \
			 { VIRTGPU_BO_EVICT_PRESSURE, "pressure" }, \
			 { VIRTGPU_BO_EVICT_HOST, "host" }, \
			 { VIRTGPU_BO_EVICT_CLOSED, "closed" })

#define bo_cache_show_reject(reason) \
	__print_symbolic(reason, \
			 { VIRTGPU_BO_REJECT_NONE, "none" }, \
			 { VIRTGPU_BO_REJECT_SHARED, "shared" }, \
			 { VIRTGPU_BO_REJECT_CUSTOM, "custom" }, \
			 { VIRTGPU_BO_REJECT_BLOB, "blob" }, \
			 { VIRTGPU_BO_REJECT_BUSY, "busy" }, \
			 { VIRTGPU_BO_REJECT_OWNER, "owner" }, \
			 { VIRTGPU_BO_REJECT_REFUSED, "refused" }, \
			 { VIRTGPU_BO_REJECT_DISABLED, "disabled" }, \
			 { VIRTGPU_BO_REJECT_SIZE, "size" }, \
			 { VIRTGPU_BO_REJECT_FOREIGN, "foreign" }, \
			 { VIRTGPU_BO_REJECT_GONE, "gone" }, \
			 { VIRTGPU_BO_REJECT_PRESSURE, "pressure" }, \
			 { VIRTGPU_BO_REJECT_TIGHT, "tight" }, \
			 { VIRTGPU_BO_REJECT_NOMEM, "nomem" })

#define bo_cache_show_miss(reason) \
	__print_symbolic(reason, \
			 { VIRTGPU_BO_MISS_EMPTY, "empty" }, \
			 { VIRTGPU_BO_MISS_SIZE, "size" }, \
			 { VIRTGPU_BO_MISS_CGROUP, "cgroup" }, \
			 { VIRTGPU_BO_MISS_OWNER, "owner" }, \
			 { VIRTGPU_BO_MISS_IDENT, "ident" }, \
			 { VIRTGPU_BO_MISS_BUSY, "busy" }, \
			 { VIRTGPU_BO_MISS_BACKOFF, "backoff" })

#define bo_cache_show_kind(kind) \
	__print_symbolic(kind, \
			 { VIRTGPU_BO_KIND_BLOB, "blob" }, \
			 { VIRTGPU_BO_KIND_2D, "2d" }, \
			 { VIRTGPU_BO_KIND_3D, "3d" }, \
			 { VIRTGPU_BO_KIND_BUFFER, "buffer" })

#define BO_CACHE_ENTRY_FORMAT \
	"dev=%u owner=%llu res_id=%u size=%llu bucket=%u tier=%s age_us=%llu"

/*
 * owner: number of the DRM file that made the BO, 0 if none
 * size: bytes of backing
 * age_us: microseconds since its last reference went, or it became purgeable
 * age_ms: the same in milliseconds, for histograms
 * dev: number of the virtio device
 * res_id: host resource; in the pages tier the one it last was
 * bucket: size class
 * tier: where it is, enters or comes from: 1 resource, 2 pages, 3 purgeable
 * reason: meaning depends on the event, 0 where there is none
 */
DECLARE_EVENT_CLASS(bo_cache_entry,
		    TP_PROTO(const struct virtgpu_bo_cache *cache,
			     const struct virtgpu_bo_entry *bo,
			     u8 tier, u8 reason),
		    TP_ARGS(cache, bo, tier, reason),
		    TP_STRUCT__entry(__field(u64, owner)
				     __field(u64, size)
				     __field(u64, age_us)
				     __field(u32, dev)
				     __field(u32, res_id)
				     __field(u32, age_ms)
				     __field(u8, bucket)
				     __field(u8, tier)
				     __field(u8, reason)
		    ),
		    TP_fast_assign(__entry->owner = bo->owner ?
						    bo->owner->id : 0;
				   __entry->size = bo->size;
				   __entry->age_us =
					ktime_us_delta(ktime_get(), bo->freed);
				   __entry->dev = cache->dev;
				   __entry->res_id = bo->res_id;
				   __entry->age_ms =
					div_u64(__entry->age_us, USEC_PER_MSEC);
				   __entry->bucket = bo->bucket;
				   __entry->tier = tier;
				   __entry->reason = reason;
		    ),
		    TP_printk(BO_CACHE_ENTRY_FORMAT,
			      __entry->dev, __entry->owner, __entry->res_id,
			      __entry->size, __entry->bucket,
			      bo_cache_show_tier(__entry->tier),
			      __entry->age_us)
);

#define BO_CACHE_ENTRY_EVENT(name) \
	DEFINE_EVENT(bo_cache_entry, name, \
		     TP_PROTO(const struct virtgpu_bo_cache *cache, \
			      const struct virtgpu_bo_entry *bo, \
			      u8 tier, u8 reason), \
		     TP_ARGS(cache, bo, tier, reason))

/* entered @tier */
BO_CACHE_ENTRY_EVENT(bo_cache_put);
/* handed out from @tier */
BO_CACHE_ENTRY_EVENT(bo_cache_hit);
/* left the resource tier for the pages tier because its file was closed */
BO_CACHE_ENTRY_EVENT(bo_cache_demote);
/* left @tier because of its age */
BO_CACHE_ENTRY_EVENT(bo_cache_expire);
/* is neither in use nor held any more: the host has let go of it */
BO_CACHE_ENTRY_EVENT(bo_cache_retire);

#define BO_CACHE_REASON_EVENT(name, show) \
	DEFINE_EVENT_PRINT(bo_cache_entry, name, \
			   TP_PROTO(const struct virtgpu_bo_cache *cache, \
				    const struct virtgpu_bo_entry *bo, \
				    u8 tier, u8 reason), \
			   TP_ARGS(cache, bo, tier, reason), \
			   TP_printk(BO_CACHE_ENTRY_FORMAT " reason=%s", \
				     __entry->dev, __entry->owner, \
				     __entry->res_id, __entry->size, \
				     __entry->bucket, \
				     bo_cache_show_tier(__entry->tier), \
				     __entry->age_us, \
				     show(__entry->reason)))

/* left @tier for another reason than its age; none: was between the two */
BO_CACHE_REASON_EVENT(bo_cache_purge, bo_cache_show_evict);
/* was freed and did not enter the resource tier, or any */
BO_CACHE_REASON_EVENT(bo_cache_reject, bo_cache_show_reject);

/*
 * a create found nothing
 * owner: number of the DRM file that asks, 0 if a file's own would not do
 * size: bytes of backing asked for
 * reason: why
 * tier, age_ms: of what was held, the nearest to what was asked for: where it is
 *               and milliseconds since it was freed; 0 if there is nothing
 */
TRACE_EVENT(bo_cache_miss,
	    TP_PROTO(const struct virtgpu_bo_cache *cache,
		     const struct virtgpu_bo_want *want,
		     const struct virtgpu_bo_entry *nearest, u8 reason),
	    TP_ARGS(cache, want, nearest, reason),
	    TP_STRUCT__entry(__field(u64, owner)
			     __field(u64, size)
			     __field(u32, dev)
			     __field(u32, age_ms)
			     __field(u8, bucket)
			     __field(u8, tier)
			     __field(u8, reason)
	    ),
	    TP_fast_assign(__entry->owner = want->owner ? want->owner->id : 0;
			   __entry->size = want->size;
			   __entry->dev = cache->dev;
			   __entry->age_ms = nearest ?
				ktime_ms_delta(ktime_get(), nearest->freed) : 0;
			   __entry->bucket = virtgpu_bo_class(want->size);
			   __entry->tier = nearest ? nearest->tier :
						     VIRTGPU_BO_TIER_NONE;
			   __entry->reason = reason;
	    ),
	    TP_printk("dev=%u owner=%llu size=%llu bucket=%u reason=%s tier=%s age_ms=%u",
		      __entry->dev, __entry->owner, __entry->size,
		      __entry->bucket, bo_cache_show_miss(__entry->reason),
		      bo_cache_show_tier(__entry->tier), __entry->age_ms)
);

#define BO_CACHE_BO_FORMAT \
	"dev=%u owner=%llu cgroup=%llu size=%llu bucket=%u kind=%s ident=%x width=%u height=%u format=%u bind=0x%x"

/*
 * What it takes to play the same creates and frees again.
 *
 * owner: number of the DRM file, 0 if the BO can't be in the resource tier
 * cgroup: number of the memory cgroup, the inode of its folder; 0 if none
 * size: bytes of backing, of create: that are asked for
 * max_bytes, timeout_ms: the knobs; timeout_ms is 0 if the cache is off
 * dev: number of the virtio device
 * tgid: the process that is at it; a BO may be freed by a worker
 * res_id: host resource, 0 in create: see created
 * ident: hash of what two BOs must agree on but for the width
 * width, height, format, bind: of that, what most is said by
 * bucket: size class
 * kind: 0 blob, 1 2d, 2 3d, 3 buffer
 * tier: of free, the tier that the BO may enter: 1 resource, 2 pages
 * reason: of free, why it may not enter the resource tier
 */
DECLARE_EVENT_CLASS(bo_cache_bo,
		    TP_PROTO(const struct virtgpu_bo_cache *cache,
			     const struct virtgpu_bo_ident *id,
			     const struct virtgpu_bo_owner *bo_owner,
			     const struct virtgpu_bo_group *group, u64 bytes,
			     u32 res_id, u8 tier, u8 reason),
		    TP_ARGS(cache, id, bo_owner, group, bytes, res_id, tier,
			    reason),
		    TP_STRUCT__entry(__field(u64, owner)
				     __field(u64, cgroup)
				     __field(u64, size)
				     __field(u64, max_bytes)
				     __field(u32, timeout_ms)
				     __field(u32, dev)
				     __field(u32, tgid)
				     __field(u32, res_id)
				     __field(u32, ident)
				     __field(u32, width)
				     __field(u32, height)
				     __field(u32, format)
				     __field(u32, bind)
				     __field(u8, bucket)
				     __field(u8, kind)
				     __field(u8, tier)
				     __field(u8, reason)
		    ),
		    TP_fast_assign(__entry->owner = bo_owner ? bo_owner->id : 0;
				   __entry->cgroup = group ? group->id : 0;
				   __entry->size = bytes;
				   __entry->max_bytes =
					READ_ONCE(cache->max_bytes);
				   __entry->timeout_ms =
					virtgpu_bo_cache_active(cache) ?
					READ_ONCE(cache->timeout_ms) : 0;
				   __entry->dev = cache->dev;
				   __entry->tgid = current->tgid;
				   __entry->res_id = res_id;
				   __entry->ident = virtgpu_bo_ident_hash(id);
				   __entry->width = id->width;
				   __entry->height = id->height;
				   __entry->format = id->format;
				   __entry->bind = id->bind;
				   __entry->bucket = virtgpu_bo_class(bytes);
				   __entry->kind = id->kind;
				   __entry->tier = tier;
				   __entry->reason = reason;
		    ),
		    TP_printk(BO_CACHE_BO_FORMAT " timeout_ms=%u max_bytes=%llu tgid=%u",
			      __entry->dev, __entry->owner, __entry->cgroup,
			      __entry->size, __entry->bucket,
			      bo_cache_show_kind(__entry->kind),
			      __entry->ident, __entry->width, __entry->height,
			      __entry->format, __entry->bind,
			      __entry->timeout_ms, __entry->max_bytes,
			      __entry->tgid)
);

/* a BO is asked for; a hit or a miss follows, and created if all went well */
DEFINE_EVENT(bo_cache_bo, bo_cache_create,
	     TP_PROTO(const struct virtgpu_bo_cache *cache,
		      const struct virtgpu_bo_ident *id,
		      const struct virtgpu_bo_owner *bo_owner,
		      const struct virtgpu_bo_group *group, u64 bytes,
		      u32 res_id, u8 tier, u8 reason),
	     TP_ARGS(cache, id, bo_owner, group, bytes, res_id, tier, reason));

/* the last reference to a BO is gone; a put or a reject follows */
DEFINE_EVENT_PRINT(bo_cache_bo, bo_cache_free,
		   TP_PROTO(const struct virtgpu_bo_cache *cache,
			    const struct virtgpu_bo_ident *id,
			    const struct virtgpu_bo_owner *bo_owner,
			    const struct virtgpu_bo_group *group, u64 bytes,
			    u32 res_id, u8 tier, u8 reason),
		   TP_ARGS(cache, id, bo_owner, group, bytes, res_id, tier,
			   reason),
		   TP_printk(BO_CACHE_BO_FORMAT " res_id=%u tier=%s reason=%s",
			     __entry->dev, __entry->owner, __entry->cgroup,
			     __entry->size, __entry->bucket,
			     bo_cache_show_kind(__entry->kind),
			     __entry->ident, __entry->width, __entry->height,
			     __entry->format, __entry->bind, __entry->res_id,
			     bo_cache_show_tier(__entry->tier),
			     bo_cache_show_reject(__entry->reason)));

/*
 * a BO was created, or handed out again
 * tier: where it came from, 0 if it is new
 * took_us: microseconds since it was asked for
 */
TRACE_EVENT(bo_cache_created,
	    TP_PROTO(const struct virtgpu_bo_cache *cache,
		     const struct virtgpu_bo_want *want, u32 res_id,
		     ktime_t start),
	    TP_ARGS(cache, want, res_id, start),
	    TP_STRUCT__entry(__field(u64, owner)
			     __field(u64, size)
			     __field(u64, took_us)
			     __field(u32, dev)
			     __field(u32, res_id)
			     __field(u8, bucket)
			     __field(u8, tier)
	    ),
	    TP_fast_assign(__entry->owner = want->owner ? want->owner->id : 0;
			   __entry->size = want->size;
			   __entry->took_us =
				ktime_us_delta(ktime_get(), start);
			   __entry->dev = cache->dev;
			   __entry->res_id = res_id;
			   __entry->bucket = virtgpu_bo_class(want->size);
			   __entry->tier = want->served;
	    ),
	    TP_printk("dev=%u owner=%llu res_id=%u size=%llu bucket=%u tier=%s took_us=%llu",
		      __entry->dev, __entry->owner, __entry->res_id,
		      __entry->size, __entry->bucket,
		      bo_cache_show_tier(__entry->tier), __entry->took_us)
);

/* a DRM file was closed: nothing of its enters the resource tier any more */
TRACE_EVENT(bo_cache_close,
	    TP_PROTO(const struct virtgpu_bo_cache *cache,
		     const struct virtgpu_bo_owner *bo_owner),
	    TP_ARGS(cache, bo_owner),
	    TP_STRUCT__entry(__field(u64, owner)
			     __field(u32, dev)
	    ),
	    TP_fast_assign(__entry->owner = bo_owner->id;
			   __entry->dev = cache->dev;
	    ),
	    TP_printk("dev=%u owner=%llu", __entry->dev, __entry->owner)
);

/*
 * pressure closed the cache to a cgroup
 * cgroup: its number, the inode of its folder; 0 if there are none
 * ms: for how long
 */
TRACE_EVENT(bo_cache_backoff,
	    TP_PROTO(const struct virtgpu_bo_cache *cache, u64 cgroup,
		     unsigned int ms),
	    TP_ARGS(cache, cgroup, ms),
	    TP_STRUCT__entry(__field(u64, cgroup)
			     __field(u32, dev)
			     __field(u32, ms)
	    ),
	    TP_fast_assign(__entry->cgroup = cgroup;
			   __entry->dev = cache->dev;
			   __entry->ms = ms;
	    ),
	    TP_printk("dev=%u cgroup=%llu ms=%u", __entry->dev,
		      __entry->cgroup, __entry->ms)
);

#endif

#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE virtgpu_bo_cache_trace
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#include <trace/define_trace.h>
