# SPDX-License-Identifier: GPL-2.0-or-later
# The picture of `make bench`. Wants dir (where scripts/bench left its points),
# and writes bench.png and bench.svg there.

set datafile separator comma
points(name) = dir . '/' . name . '.csv'
exists(name) = system("test -s '" . points(name) . "' && echo 1 || echo 0") + 0

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

	if (exists("cycle")) {
		set title "One create and close, by how the BO is come by" font ",14"
		set xlabel "size, KiB"
		set ylabel "instructions in the guest that the client waits for"
		set key top left Left reverse
		plot for [way in "stock off miss pages resource"] \
			points('cycle') using (strcol(1) eq way ? $2/1024 : NaN):3:4:5 \
			with yerrorlines pt 7 title way
	}
	if (exists("held")) {
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
