package hold

import (
	"time"

	"hotsvc/internal/rule"
)

// Damp is the penalty of one (rule, service): each loss of the condition adds
// one, and it halves every half life. The penalty is an integer in units of
// 1/one, and so is the decay: no float, because a replay on another processor
// must decide the same.
type Damp struct {
	Penalty    int64         `json:"penalty"`
	At         time.Duration `json:"at"` // monotonic; when Penalty was so
	Suppressed bool          `json:"suppressed"`
}

const one = 1 << 20

// halves[i] is one/2^(i/16): the decay within one half life, in sixteenths.
var halves = [17]int64{
	1048576, 1004119, 961548, 920781, 881743, 844360, 808563, 774282, 741455,
	710020, 679918, 651091, 623487, 597054, 571741, 547501, 524288,
}

// decay returns what is left of a penalty after some time, rounded down.
func decay(p int64, d, half time.Duration) int64 {
	if d <= 0 {
		return p
	}
	if d/half >= 40 {
		return 0
	}
	p >>= uint(d / half)
	part := d % half * 16
	i := part / half
	from, to := halves[i], halves[i+1]
	factor := from - (from-to)*int64(part%half/1000)/max(int64(half/1000), 1)
	return p * factor / one
}

// Lose counts one loss of the condition.
func (d *Damp) Lose(now time.Duration, r *rule.Damping) {
	ceiling := int64(r.Reuse) * one
	for t := r.HalfLife; t <= r.Max && ceiling < 1<<40; t += r.HalfLife {
		ceiling *= 2
	}
	d.Penalty = min(decay(d.Penalty, now-d.At, r.HalfLife)+one, ceiling)
	d.At = now
	if d.Penalty >= int64(r.Suppress)*one {
		d.Suppressed = true
	}
}

// Until returns when a suppressed hold may be used again, or 0 when it is not
// suppressed (any more). It forgets a penalty that has been served.
func (d *Damp) Until(now time.Duration, r *rule.Damping) time.Duration {
	if !d.Suppressed {
		return 0
	}
	end := d.At + r.Max
	for t := time.Duration(0); t < r.Max; t += r.HalfLife / 16 {
		if decay(d.Penalty, t, r.HalfLife) <= int64(r.Reuse)*one {
			end = d.At + t
			break
		}
	}
	if now >= end {
		d.Suppressed = false
		return 0
	}
	return end
}
