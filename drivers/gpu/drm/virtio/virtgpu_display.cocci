// SPDX-License-Identifier: GPL-2.0 OR MIT
// virtgpu_display.c: what is part of a framebuffer is needed.

@frame@
expression vgfb, gem;
@@
virtio_gpu_framebuffer_init(...)
{
...
+ret = virtio_gpu_madvise_frame(gem);
+if (ret)
+	return ret;
vgfb->base.obj[0] = gem;
<...
if (ret) {
+	virtio_gpu_madvise_unframe(gem);
	vgfb->base.obj[0] = NULL;
	...
}
...>
}

@destroy@
identifier funcs;
@@
struct drm_framebuffer_funcs funcs = {
-.destroy = drm_gem_fb_destroy,
+.destroy = virtio_gpu_madvise_fb_destroy,
};
