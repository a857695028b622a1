package main

import (
	"encoding/binary"
	"math"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/dice"
)

// place is what a unit of the hospital is for.
type place uint8

const (
	ward place = iota
	urgent
	clinic
	pharmacy
	imaging
	therapy
	archive
	pool // nurses who go where somebody is missing
)

// unit is a ward, a clinic, a laboratory: one team of the key logs.
type unit struct {
	place  place
	groups []group
}

// group is the positions of one role in a unit that share a roster.
type group struct {
	role      string
	positions []int  // of world.positions
	slots     [3]int // how many a shift needs: day, evening, night
	weekdays  bool
	cover     int // wards that the one on duty answers for, when not its own alone
}

// position is a place on a roster; people come and go in it.
type position struct {
	unit    int
	holders []tenure
}

// tenure is since when somebody holds a position.
type tenure struct{ person, from int }

// person is one of the staff.
type person struct {
	role  string
	unit  int
	chart int32   // the patient that this person is too
	pace  float64 // of reading, 1 is the mean

	position int // on the roster; -1 for a program
}

// patient is one who has a record here.
type patient struct {
	household int32
	staff     int32 // who it is among the staff, -1 for nobody
	vip       bool
}

// world is a hospital. Everything in it follows from its seed.
type world struct {
	seed      uint64
	units     []unit
	positions []position
	people    []person
	patients  []patient
	wards     []int // units
	program   int   // who of people is the research program
	sizes     map[place][]int
}

const (
	beds         = 24
	vipEach      = 1000 // one of so many patients is known to everybody
	turnoverWeek = 100  // one position of so many gets a new person each week
)

// build makes the hospital of so many staff (nearly: groups are whole) and
// patients, with the staff that will come within days.
func build(staff, patients, days int, seed uint64) *world {
	w := &world{seed: seed, sizes: make(map[place][]int)}
	k := float64(staff) / 500
	few := func(n float64) int { return max(1, int(math.Round(n*k))) }
	for i := range few(9) {
		groups := []group{
			{role: abaton.RoleNurse, slots: [3]int{5, 4, 3}},
			{role: abaton.RolePhysician, slots: [3]int{3, 1, 0}},
			{role: abaton.RoleAssistant, slots: [3]int{1, 0, 0}, weekdays: true},
		}
		sizes := []int{18, 6, 2}
		if i%3 == 0 { // one physician at night for three wards
			groups = append(groups, group{role: abaton.RolePhysician, slots: [3]int{0, 0, 1}, cover: 3})
			sizes = append(sizes, 3)
		}
		w.unit(ward, groups, sizes)
	}
	if k >= 0.5 {
		for range few(1) {
			w.unit(urgent, []group{
				{role: abaton.RoleNurse, slots: [3]int{5, 5, 5}},
				{role: abaton.RoleEmergency, slots: [3]int{3, 3, 3}},
			}, []int{24, 14})
		}
	}
	for range few(6) {
		w.unit(clinic, []group{
			{role: abaton.RolePhysician, slots: [3]int{6, 0, 0}, weekdays: true},
			{role: abaton.RoleNurse, slots: [3]int{4, 0, 0}, weekdays: true},
		}, []int{8, 5})
	}
	one := func(p place, role string, slots [3]int, size int, weekdays bool) {
		for i := range slots {
			if slots[i] > 0 {
				slots[i] = few(float64(slots[i]))
			}
		}
		size = max(few(float64(size)), slots[0]+slots[1]+2*slots[2])
		w.unit(p, []group{{role: role, slots: slots, weekdays: weekdays}}, []int{size})
	}
	one(pharmacy, abaton.RolePharmacist, [3]int{7, 4, 2}, 22, false)
	one(imaging, abaton.RoleAssistant, [3]int{10, 6, 3}, 28, false)
	one(therapy, abaton.RoleTherapist, [3]int{14, 0, 0}, 20, true)
	one(archive, abaton.RoleRecords, [3]int{36, 0, 0}, 45, true)
	one(pool, abaton.RoleNurse, [3]int{5, 4, 3}, 32, false)
	w.turnover(days)
	w.program = len(w.people)
	w.people = append(w.people, person{role: abaton.RoleBatch, unit: w.sizes[archive][0], pace: 1, position: -1})
	w.households(patients)
	return w
}

// unit adds a unit with people in all its positions.
func (w *world) unit(p place, groups []group, sizes []int) {
	u := len(w.units)
	for i := range groups {
		for range sizes[i] {
			groups[i].positions = append(groups[i].positions, len(w.positions))
			w.positions = append(w.positions, position{unit: u})
			w.hire(len(w.positions)-1, groups[i].role, 0)
		}
	}
	w.units = append(w.units, unit{p, groups})
	w.sizes[p] = append(w.sizes[p], u)
	if p == ward {
		w.wards = append(w.wards, u)
	}
}

// hire puts a new person in a position from a day on.
func (w *world) hire(at int, role string, from int) {
	p := &w.positions[at]
	d := w.dice('p', len(w.people))
	p.holders = append(p.holders, tenure{len(w.people), from})
	w.people = append(w.people, person{role: role, unit: p.unit, position: at, pace: math.Exp(0.3*normal(d) - 0.045)})
}

// turnover lets people leave and others come, a week apart at most.
func (w *world) turnover(days int) {
	d := w.dice('t', 0)
	for week := 7; week < days; week += 7 {
		for at := range w.positions {
			if d.Below(turnoverWeek) == 0 {
				first := w.positions[at].holders[0].person
				w.hire(at, w.people[first].role, week+d.Below(7))
			}
		}
	}
}

// households makes the patients: homes of one to four, each of the staff in
// one of them, and a few whom everybody knows.
func (w *world) households(n int) {
	d := w.dice('h', 0)
	w.patients = make([]patient, n)
	home, left := int32(-1), 0
	for i := range w.patients {
		if left == 0 {
			home, left = home+1, 1+d.Below(4)
		}
		left--
		w.patients[i] = patient{household: home, staff: -1, vip: d.Below(vipEach) == 0}
	}
	for i, at := range d.Order(n)[:len(w.people)] {
		w.people[i].chart = int32(at)
		w.patients[at].staff = int32(i)
	}
}

// holder is who has a position on a day.
func (w *world) holder(at, d int) int {
	all := w.positions[at].holders
	for i := len(all) - 1; i > 0; i-- {
		if all[i].from <= d {
			return all[i].person
		}
	}
	return all[0].person
}

// there says whether somebody works here on a day.
func (w *world) there(who, d int) bool {
	if w.people[who].position < 0 {
		return true
	}
	return w.holder(w.people[who].position, d) == who
}

// delicate says that this reader should have a reason for this patient: own
// record, kin, a colleague of the same unit, or known to everybody.
func (w *world) delicate(who, whom int32) bool {
	if whom < 0 {
		return false
	}
	p := &w.patients[whom]
	me := &w.people[who]
	return p.vip || p.household == w.patients[me.chart].household ||
		p.staff >= 0 && w.people[p.staff].unit == me.unit
}

// dice are those of one matter: what happens in one changes nothing in another.
func (w *world) dice(matter byte, n int) *dice.Dice {
	return dice.New(w.seed<<40 ^ uint64(matter)<<32 ^ uint64(n))
}

// normal is nearly a standard normal number.
func normal(d *dice.Dice) float64 {
	sum := -6.0
	for range 12 {
		sum += float64(d.Below(1<<20)) / (1 << 20)
	}
	return sum
}

// exponential is a waiting time of that mean, at most twelve times as long.
func exponential(d *dice.Dice, mean int64) int64 {
	u := (float64(d.Below(1<<20)) + 1) / (1 << 20)
	return int64(min(-math.Log(u), 12) * float64(mean))
}

// chance is true so many times in a thousand.
func chance(d *dice.Dice, thousandth float64) bool {
	return float64(d.Below(1_000_000)) < thousandth*1000
}

// name is a pseudonym: true ones are hashes, so that their first bytes differ,
// and a watch relies on it. Here they are a mixed number (SplitMix64), no secret.
func name(letter byte, n int64) (id abaton.ActorID) {
	x := uint64(n)<<8 | uint64(letter)
	binary.BigEndian.PutUint64(id[8:], x)
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	binary.BigEndian.PutUint64(id[:8], x^x>>31)
	return id
}
