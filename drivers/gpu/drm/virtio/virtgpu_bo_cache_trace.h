/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Trace events of the BO cache.  Names and fields are an interface; see
 * Documentation/gpu/virtio-gpu-bo-cache.rst.
 */
#if !defined(VIRTGPU_BO_CACHE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VIRTGPU_BO_CACHE_TRACE_H

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

#define BO_CACHE_ENTRY_FORMAT \
	"dev=%u owner=%llu res_id=%u size=%llu bucket=%u tier=%s age_us=%llu"

/*
 * owner: number of the DRM file that made the BO, 0 if none
 * size: bytes of backing
 * age_us: microseconds since its last reference went, or it became purgeable
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

/* left @tier for another reason than its age */
BO_CACHE_REASON_EVENT(bo_cache_purge, bo_cache_show_evict);
/* was freed and did not enter the resource tier, or any */
BO_CACHE_REASON_EVENT(bo_cache_reject, bo_cache_show_reject);

/* a create found nothing; size: bytes of backing asked for */
TRACE_EVENT(bo_cache_miss,
	    TP_PROTO(const struct virtgpu_bo_cache *cache, u64 size, u8 bucket),
	    TP_ARGS(cache, size, bucket),
	    TP_STRUCT__entry(__field(u64, size)
			     __field(u32, dev)
			     __field(u8, bucket)
	    ),
	    TP_fast_assign(__entry->size = size;
			   __entry->dev = cache->dev;
			   __entry->bucket = bucket;
	    ),
	    TP_printk("dev=%u size=%llu bucket=%u", __entry->dev,
		      __entry->size, __entry->bucket)
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
