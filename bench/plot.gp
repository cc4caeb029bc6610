# SPDX-License-Identifier: GPL-2.0-or-later
# The pictures of `make bench`. Wants dir (where scripts/bench left its points), and
# writes bench and memory there, as .png and .svg.

set datafile separator comma
points(name) = dir . '/' . name . '.csv'
have(name) = system("test -s '" . points(name) . "' && echo 1 || echo 0") + 0

do for [format in "png svg"] {
	if (format eq "png") {
		set terminal pngcairo size 1500,700 font "DejaVu Sans,11"
	} else {
		set terminal svg size 1500,700 font "DejaVu Sans,11" background "white"
	}
	set output dir . '/bench.' . format
	set multiplot layout 1,2
	set border 3
	set tics nomirror out
	set grid ytics lc rgb "#dddddd"
	set logscale xy
	set format y "%.0s%c"

	if (have("cycle")) {
		set title "One create and close, by how the BO is come by" font ",14"
		set xlabel "size, KiB"
		set ylabel "instructions in the guest that the client waits for"
		set key top left Left reverse
		plot for [way in "stock off miss pages resource"] \
			points('cycle') using (strcol(1) eq way ? $2/1024 : NaN):3:4:5 \
			with yerrorlines pt 7 title way
	}
	if (have("held")) {
		set title "With others in the cache" font ",14"
		set xlabel "entries held"
		set ylabel "ns"
		set yrange [10:*]
		set key top left Left reverse
		plot for [what in "store-resource store-pages guest"] \
			points('held') using (strcol(1) eq what ? $2 : NaN):3:4:5 \
			with yerrorlines pt 7 title what
		unset yrange
	}
	unset multiplot
	unset output
}

if (have("memory")) {
	do for [format in "png svg"] {
		if (format eq "png") {
			set terminal pngcairo size 1500,700 font "DejaVu Sans,11"
		} else {
			set terminal svg size 1500,700 font "DejaVu Sans,11" background "white"
		}
		set output dir . '/memory.' . format
		set multiplot layout 1,2
		unset logscale
		set format y "%g"
		set xlabel "seconds"
		set key top left Left reverse
		ways = "'off' 'client' 'cache' 'off reported' 'client reported' " . \
			"'cache reported' 'cache reported tuned'"
		set title "256 MiB of BOs are used and freed" font ",14"
		set ylabel "QEMU's resident memory, MiB"
		set yrange [0:*]
		plot for [way in ways] points('memory') \
			using (strcol(1) eq way ? $2 : NaN):3 with lines lw 2 title way
		set title "The host's resources" font ",14"
		set ylabel "alive"
		set yrange [0:350]
		plot for [way in "off client cache"] points('memory') \
			using (strcol(1) eq way ? $2 : NaN):4 with lines lw 2 title way
		unset multiplot
		unset output
	}
}
