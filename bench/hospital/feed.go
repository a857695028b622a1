package main

import "github.com/abaton-health/abaton/internal/dice"

// kind is why a relation stands, in the words of ADR 0031.
type kind uint8

const (
	appointment kind = iota
	admission
	referral
	order
	handover
	registration // in an emergency department
)

// tell is one relation as the organisation's feed tells it to the keepers.
type tell struct {
	told        int64 // when
	from, until int64 // what it says
	patient     int32
	whom        int32 // a person, or a team as -1-unit
	kind        kind
}

func team(u int) int32 { return int32(-1 - u) }

// feed is how well an organisation's systems tell the keepers what happens.
// Rates are in a thousand.
type feed struct {
	name   string
	late   map[kind]float64 // told after the fact
	lag    map[kind]int64   // how long, mean
	never  map[kind]float64
	stale  float64 // of pool shifts
	aside  float64 // of ward and clinic reads: a question in the corridor that nobody writes down
	slip   float64 // of reads: the wrong patient of two with one name
	stored int64   // added to every delay, for the sweep
}

// feeds are the three that are measured: they leave about 2, 6 and 15 % of new
// pairs unexplained (Fabbri and LeFevre 2013; Hospital Italiano 2015). In all of
// them 15 % of referrals are told late and 5 % never.
func feeds() []feed {
	make := func(name string, scale float64, lag int64, stale float64) feed {
		return feed{
			name: name,
			late: map[kind]float64{appointment: 5 * scale, admission: 10 * scale, referral: 150, order: 8 * scale, handover: 10 * scale, registration: 12 * scale},
			lag: map[kind]int64{appointment: lag, admission: lag / 2, referral: 3 * hour, order: lag / 2,
				handover: lag, registration: lag / 4},
			never: map[kind]float64{appointment: 1 * scale, referral: 50, order: 2 * scale, handover: 4 * scale, registration: 1 * scale},
			stale: stale, aside: 2.0 * scale, slip: 0.5,
		}
	}
	return []feed{make("fresh", 4.5, 30*minute, 0), make("ordinary", 13.5, 2*hour, 100), make("poor", 35, 4*hour, 650)}
}

// when is when the feed tells what happened at a time; false for never.
func (f *feed) when(d *dice.Dice, k kind, at int64) (told int64, ever bool) {
	roll := float64(d.Below(1_000_000)) / 1000
	wait := exponential(d, f.lag[k])
	switch {
	case roll < f.never[k]:
		return 0, false
	case roll < f.never[k]+f.late[k]:
		return f.outage(at + wait + f.stored), true
	}
	return f.outage(at + f.stored), true
}

// outage keeps back what would be told while the feed is down; the backlog is
// worked off in a quarter of an hour.
func (f *feed) outage(at int64) int64 {
	from, until := clock(outageDay, 9), clock(outageDay, 12)
	if at < from || at >= until {
		return at
	}
	return until + (at-from)*15/180
}
