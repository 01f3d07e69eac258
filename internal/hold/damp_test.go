package hold

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"hotsvc/internal/rule"
)

const half = 15 * time.Second

// TestDecay compares the integer decay with the curve that it stands for.
func TestDecay(t *testing.T) {
	for _, h := range []time.Duration{half, time.Second, 7*time.Second + 3, 40 * time.Millisecond} {
		for _, p := range []int64{one, 5 * one, 5*one + 12345, 1000 * one} {
			for i := range 200 {
				d := time.Duration(i) * h / 17
				want := float64(p) * math.Exp2(-float64(d)/float64(h))
				if got := float64(decay(p, d, h)); math.Abs(got-want) > want*0.001+4 {
					t.Fatalf("decay(%d, %v, %v) = %.0f, want about %.0f", p, d, h, got, want)
				}
			}
		}
	}
	for _, c := range []struct {
		p    int64
		d    time.Duration
		want int64
	}{
		{one, 0, one},
		{one, -time.Second, one}, // a clock that goes back adds nothing
		{8 * one, half, 4 * one},
		{8 * one, 3 * half, one},
		{0, half, 0},
		{1, half, 0},
		{math.MaxInt32, 40 * half, 0},
		{math.MaxInt32, math.MaxInt64, 0},
	} {
		if got := decay(c.p, c.d, half); got != c.want {
			t.Errorf("decay(%d, %v) = %d, want %d", c.p, c.d, got, c.want)
		}
	}
}

// TestDecayIsMonotone: it never grows with time nor shrinks with the penalty, and
// is never negative.
func TestDecayIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		h := time.Duration(1 + r.Int64N(int64(time.Minute)))
		p := r.Int64N(1 << 40)
		d := time.Duration(r.Int64N(int64(h) * 45))
		now := decay(p, d, h)
		later := decay(p, d+time.Duration(1+r.Int64N(int64(h)/4+1)), h)
		more := decay(p+r.Int64N(one), d, h)
		if now < 0 || now > p || later > now || more < now {
			t.Fatalf("decay of %d after %v of half life %v: %d, later %d, of more %d", p, d, h, now, later, more)
		}
	}
}

// TestFlapping tells the default damping as a story: losses at these times, and
// then until when the hold is withheld.
func TestFlapping(t *testing.T) {
	sec := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	fast := rule.Damping{HalfLife: 10 * time.Second, Suppress: 2, Reuse: 1, Max: 30 * time.Second}
	for _, c := range []struct {
		name   string
		r      rule.Damping
		losses []float64
		until  time.Duration // from the last loss; 0: never suppressed
	}{
		{"one loss", rule.DefaultDamping, []float64{1}, 0},
		{"five at once", rule.DefaultDamping, []float64{1, 1, 1, 1, 1}, 20 * time.Second}, // 5 to 2: 1.32 half lives
		{"four at once", rule.DefaultDamping, []float64{1, 1, 1, 1}, 0},
		{"five far apart", rule.DefaultDamping, []float64{0, 30, 60, 90, 120}, 0},
		{"twenty at once", rule.DefaultDamping, []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 50 * time.Second},
		{"two of two", fast, []float64{5, 5}, 10 * time.Second},
		{"the second a half life later", fast, []float64{5, 15}, 0}, // 1.5
		{"ceiling", fast, []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Damp
			var at time.Duration
			for _, l := range c.losses {
				at = time.Hour + sec(l)
				d.Lose(at, &c.r)
			}
			until := d.Until(at, &c.r)
			if c.until == 0 {
				if until != 0 || d.Suppressed {
					t.Fatalf("suppressed until %v later", until-at)
				}
				return
			}
			if got := until - at; got < c.until-c.r.HalfLife/8 || got > c.until+c.r.HalfLife/8 {
				t.Errorf("suppressed for %v, want about %v", got, c.until)
			}
		})
	}
}

// TestDampWalk: whatever the losses, the penalty is never negative nor above the
// ceiling, Until is in the future and not beyond max, agrees with the decay, and
// stays the same while nothing is lost.
func TestDampWalk(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		c := rule.Damping{HalfLife: time.Duration(1+r.IntN(30)) * time.Second, Reuse: 1 + r.IntN(5)}
		c.Suppress = c.Reuse + 1 + r.IntN(6)
		c.Max = c.HalfLife * time.Duration(1+r.IntN(8))
		ceiling := int64(c.Reuse) * one << (c.Max / c.HalfLife)
		var d Damp
		now := time.Hour
		for range 100 {
			now += time.Duration(r.Int64N(int64(c.HalfLife)))
			was := decay(d.Penalty, now-d.At, c.HalfLife)
			if d.Lose(now, &c); d.Penalty < 0 || d.Penalty > ceiling || d.Penalty < min(was, ceiling) || d.Penalty > was+one {
				t.Fatalf("seed %d: after a loss %d, before it %d, ceiling %d", seed, d.Penalty, was, ceiling)
			}
			if !d.Suppressed && d.Penalty >= int64(c.Suppress)*one {
				t.Fatalf("seed %d: penalty %d and not suppressed", seed, d.Penalty)
			}
			until := d.Until(now, &c)
			if (until != 0) != d.Suppressed {
				t.Fatalf("seed %d: Until %v, suppressed %v", seed, until, d.Suppressed)
			}
			if until == 0 {
				continue
			}
			if until <= now || until > d.At+c.Max {
				t.Fatalf("seed %d: until %v, now %v, max %v", seed, until, now, c.Max)
			}
			reuse := int64(c.Reuse) * one
			if left := decay(d.Penalty, until-d.At, c.HalfLife); left > reuse && until < d.At+c.Max {
				t.Fatalf("seed %d: reused at %d, above %d", seed, left, reuse)
			}
			if before := until - d.At - c.HalfLife/16; before > 0 && decay(d.Penalty, before, c.HalfLife) <= reuse {
				t.Fatalf("seed %d: a sixteenth of a half life earlier it was low enough", seed)
			}
			mid := now + time.Duration(r.Int64N(int64(until-now)))
			if again := d.Until(mid, &c); again != until {
				t.Fatalf("seed %d: until %v, and asked later %v", seed, until, again)
			}
			if r.IntN(3) == 0 {
				now = until
				if d.Until(now, &c) != 0 || d.Suppressed {
					t.Fatalf("seed %d: not served at its end", seed)
				}
			}
		}
	}
}
