# SPDX-License-Identifier: GPL-2.0-or-later
# The picture of `make demo`. Wants dir (where demo/report.py left its points),
# and writes bo-cache.png and bo-cache.svg there.

set datafile separator comma
MiB = 2.0**20
points(name) = dir . '/' . name . '.csv'

stats points('cached') using (($2 + $3 + $4) / MiB) nooutput
top = STATS_max > 0 ? STATS_max * 1.3 : 1
stats points('phases') using 2 nooutput
end = STATS_max

do for [format in "png svg"] {
	if (format eq "png") {
		set terminal pngcairo size 1500,900 font "DejaVu Sans,11"
	} else {
		set terminal svg size 1500,900 font "DejaVu Sans,11" background "white"
	}
	set output dir . '/bo-cache.' . format
	set multiplot
	set lmargin at screen 0.07
	set rmargin at screen 0.985
	set xrange [0:end]
	set border 3
	set tics nomirror out
	set style fill solid noborder

	# Upper half: cached bytes, stacked, over the phases and programs.
	set tmargin at screen 0.93
	set bmargin at screen 0.45
	set yrange [0:top]
	set format x ""
	set ylabel "MiB"
	set title "Memory in the virtio-gpu BO cache while real programs run" font ",14"
	set key at graph 0.01, graph 0.9 left top Left reverse opaque
	plot \
	points('phases') using (($1+$2)/2):(top/2):(($2-$1)/2):(top/2):($4 > 0 ? 0xe8f3e4 : 0xf3f3f3) \
		with boxxyerror lc rgb variable notitle, \
	points('cached') using 1:(($2+$3+$4)/MiB) with filledcurves x1 lc rgb "#999999" title "released, not answered by the host yet", \
	'' using 1:(($2+$3)/MiB) with filledcurves x1 lc rgb "#e8873a" title "resource tier: back to the same process", \
	'' using 1:($3/MiB) with filledcurves x1 lc rgb "#3b75af" title "pages tier: to any process", \
	points('programs') using 1:(0):(0):(top) with vectors nohead lc rgb "#bbbbbb" notitle, \
	points('programs') using (($1+$2)/2):(0):3 with labels font ",10" offset 0,-1 notitle, \
	points('phases') using (($1+$2)/2):(top*0.96):3 with labels font ",12" notitle

	# Lower half: how long each create took.
	unset title
	set tmargin at screen 0.41
	set bmargin at screen 0.08
	set format x "%g"
	set xlabel "seconds"
	set ylabel "time of a create, µs"
	set logscale y
	set yrange [10:*]
	set format y "%.0f"
	set key at graph 0.01, graph 0.04 left bottom
	plot \
	points('creates') using 1:2 with points pt 7 ps 0.4 lc rgb "#555555" title "one create", \
	points('programs') using 1:4:($2-$1):(0) with vectors nohead lw 3 lc rgb "#c03030" title "mean of the program"
	unset logscale
	unset multiplot
	set format y "%g"
}
