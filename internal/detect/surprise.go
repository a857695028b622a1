package detect

import "math"

// one is a share of one, in thousandths.
const one = 1000

// Bounds of what is learned (D11). Learning starts from the profile, may
// quarter or double its mean and halve or double its size (real tails are
// heavier than a fit by moments says), and a person is within a half and twice
// the role. Profile.Hour holds whatever was learned.
const (
	priorHours    = 50   // person-hours that the profile weighs
	cellHoursMax  = 4096 // from here on half is forgotten
	factorMin     = one / 2
	factorMax     = 2 * one
	surpriseFloor = 8 // new patients an hour below which nothing surprises
)

// baseline is what a role does in each hour of the day, on working days and at
// weekends, in UTC.
type baseline [2][24]cell

// cell sums person-hours: how many, their new related patients, the squares.
type cell struct {
	hours        uint32
	sum, squares uint64
}

// learn takes in one person's hour.
func (c *cell) learn(n uint16) {
	if c.hours >= cellHoursMax {
		c.hours, c.sum, c.squares = c.hours/2, c.sum/2, c.squares/2
	}
	c.hours++
	c.sum += uint64(n)
	c.squares += uint64(n) * uint64(n)
}

// fit gives mean and size of the negative binomial by moments, with the
// profile as what is known beforehand.
func (c *cell) fit(p *Profile) (mean, size float64) {
	m0, r0 := float64(p.Mean)/10, float64(p.Spread)/10
	second := m0 + m0*m0/r0 + m0*m0
	hours := priorHours + float64(c.hours)
	mean = (priorHours*m0 + float64(c.sum)) / hours
	variance := (priorHours*second+float64(c.squares))/hours - mean*mean
	size = 2 * r0
	if variance > mean {
		size = mean * mean / (variance - mean)
	}
	return min(max(mean, m0/4), 2*m0), min(max(size, r0/2), 2*r0)
}

// cellOf finds the hour of the week that an hour since 1970 is in; the first
// day of 1970 was a Thursday.
func (w *Watch) cellOf(row int, hour uint32) *cell {
	weekend := 0
	if weekday := (hour/24 + 4) % 7; weekday == 0 || weekday == 6 {
		weekend = 1
	}
	return &w.baselines[row][weekend][hour%24]
}

// surprise is D11: how unlikely this many new patients in this hour are, for
// this role and person.
func (v *view) surprise() Level {
	if !v.fresh(day) {
		return 0
	}
	n, at := 1, v.now/hour
	if v.t.hour == at {
		n += int(v.t.hourNew)
	}
	if n < surpriseFloor {
		return 0
	}
	mean, size := v.w.cellOf(v.row, at).fit(v.profile)
	s := unlikely(n, mean*float64(min(max(v.t.factor, factorMin), factorMax))/one, size)
	switch {
	case s >= float64(v.w.t.Astonish)/10:
		return SuspendSession
	case s >= float64(v.w.t.Surprise)/10 || n > int(v.profile.Hour):
		return v.askOnce() // the hour is odd, not the patient
	}
	return 0
}

// unlikely is -log10 P(N >= n) for a negative binomial of this mean and size.
func unlikely(n int, mean, size float64) float64 {
	if float64(n) <= mean {
		return 0
	}
	k, q := float64(n), mean/(size+mean)
	log := lgamma(k+size) - lgamma(size) - lgamma(k+1) + size*math.Log(size/(size+mean)) + k*math.Log(q)
	sum, term := 1.0, 1.0 // in units of P(N = n)
	for range 10_000 {
		term *= (k + size) / (k + 1) * q
		k++
		sum += term
		if term < 1e-9*sum {
			break
		}
	}
	return max(0, -(log+math.Log(sum))/math.Ln10)
}

func lgamma(x float64) float64 { l, _ := math.Lgamma(x); return l }

// turnHour closes the hour that ended: the role learns, and the person by an
// exponentially weighted mean (alpha = 0.05). Only related patients teach, so
// that looking around does not make looking around ordinary.
func (w *Watch) turnHour(t *trail, row int, now uint32) {
	t.row = uint8(row)
	at := now / hour
	if t.hour == at {
		return
	}
	if t.hour != 0 && t.hour < at {
		c, p := w.cellOf(int(t.taught), t.hour), &w.t.Profiles[t.taught]
		mean, _ := c.fit(p)
		n := min(t.hourTaught, p.Hour)
		share := min(float64(one)*float64(n)/mean, 4*one)
		t.factor = uint16(math.Round(0.95*float64(t.factor) + 0.05*share))
		c.learn(n)
	}
	t.hour, t.hourNew, t.hourTaught, t.taught = at, 0, 0, uint8(row)
}
