package detect

import (
	"errors"
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// RulesVersion is the version of the rules in this package. It stands in every
// Thresholds, and in the ledger with every finding.
const RulesVersion = 1

// AnyPerson and AnyProgram are the rows for roles without one of their own.
const (
	AnyPerson  = ""
	AnyProgram = "program"
)

// ErrThresholds says that thresholds are not within the hard caps of limits.go.
var ErrThresholds = errors.New("thresholds not allowed")

// Thresholds are what the rules compare with. They are data: an organisation's
// own are the body of an event of its key log, in canonical CBOR.
// A rule fires above its number, never at it; D5, D12 fire at theirs.
type Thresholds struct {
	Version  uint16    `cbor:"1,keyasint"` // RulesVersion
	Profiles []Profile `cbor:"2,keyasint"` // by role, sorted, no role twice; AnyPerson and AnyProgram are there

	Misses     uint16 `cbor:"3,keyasint"`  // D5: refusals of different patients
	Unanswered uint16 `cbor:"4,keyasint"`  // D5: different patients at which a step-up was asked for and not given
	MissSpan   uint32 `cbor:"5,keyasint"`  // D5: within so many seconds
	DriftSlack uint16 `cbor:"6,keyasint"`  // D4: k in hundredths
	DriftLimit uint16 `cbor:"7,keyasint"`  // D4: h in hundredths
	DeviceSpan uint32 `cbor:"8,keyasint"`  // D7: seconds between two devices of one person
	Surprise   uint16 `cbor:"9,keyasint"`  // D11: tenths of -log10 P, to step up
	Astonish   uint16 `cbor:"10,keyasint"` // D11: the same, to suspend
	Readers    uint16 `cbor:"11,keyasint"` // D12: unrelated readers of one patient in 24 h
	Late       uint32 `cbor:"12,keyasint"` // D14: seconds
	StepLife   uint32 `cbor:"13,keyasint"` // for how many seconds a step-up holds, for its session and patient

	off Rules
}

// Profile is what is ordinary for one role.
type Profile struct {
	Role          string `cbor:"1,keyasint"`
	Burst         uint16 `cbor:"2,keyasint"`  // D0: new patients at once
	Every         uint32 `cbor:"3,keyasint"`  // D0: milliseconds for each further one
	Volume        uint16 `cbor:"4,keyasint"`  // D1: patients in 10 min; twice as many suspend
	Day           uint16 `cbor:"5,keyasint"`  // D1: patients in 24 h; twice as many suspend
	UnrelatedHour uint16 `cbor:"6,keyasint"`  // D2: unrelated new patients in 1 h; twice as many suspend
	UnrelatedDay  uint16 `cbor:"7,keyasint"`  // D3: in 24 h; twice as many suspend
	UnrelatedWeek uint16 `cbor:"8,keyasint"`  // D3: in 7 d, for a person to look at; twice as many suspend
	Emergencies   uint16 `cbor:"9,keyasint"`  // D8: patients opened in an emergency in 8 h
	Hour          uint16 `cbor:"10,keyasint"` // D11: new patients in an hour of the clock, whatever was learned
	Mean          uint16 `cbor:"11,keyasint"` // D11: tenths of new patients in an active hour, until learned
	Spread        uint16 `cbor:"12,keyasint"` // D11: tenths; the size of the negative binomial until learned
}

// Default are the thresholds of whoever states none (docs/DETECTION.md says
// where each comes from).
func Default() Thresholds {
	person := func(role string, volume uint16) Profile {
		return Profile{Role: role, Burst: 10, Every: 2000, Volume: volume, Day: 150,
			UnrelatedHour: 5, UnrelatedDay: 12, UnrelatedWeek: 25, Emergencies: 2, Hour: 60, Mean: 50, Spread: 30}
	}
	quick := func(p Profile) Profile { p.Every = 1000; return p }
	urgent := person(abaton.RoleEmergency, 13)
	urgent.Emergencies = 5
	program := func(role string, volume, day uint16) Profile {
		return Profile{Role: role, Burst: 50, Every: 200, Volume: volume, Day: day,
			UnrelatedHour: 20, UnrelatedDay: 60, UnrelatedWeek: 60, Emergencies: 1, Hour: 6 * volume, Mean: 100, Spread: 10}
	}
	profiles := []Profile{
		person(AnyPerson, 10), program(abaton.RoleAgent, 20, 60), program(abaton.RoleApp, 10, 30),
		quick(person(abaton.RoleAssistant, 13)), program(abaton.RoleBatch, 200, 1000), program(abaton.RoleDevice, 10, 60), urgent,
		program(abaton.RoleIntake, 200, 1000), person(abaton.RoleLocum, 21), person(abaton.RoleNurse, 28), person(abaton.RolePharmacist, 12),
		person(abaton.RolePhysician, 21), program(AnyProgram, 10, 30), quick(person(abaton.RoleRecords, 13)), person(abaton.RoleTherapist, 10),
	}
	slices.SortFunc(profiles, byRole)
	return Thresholds{
		Version: RulesVersion, Profiles: profiles,
		Misses: 5, Unanswered: 10, MissSpan: 120, DriftSlack: 25, DriftLimit: 300, DeviceSpan: 300,
		Surprise: 75, Astonish: 120, Readers: 5, Late: 24 * 3600, StepLife: 3600,
	}
}

func byRole(a, b Profile) int {
	switch {
	case a.Role < b.Role:
		return -1
	case a.Role > b.Role:
		return 1
	}
	return 0
}

// Encode is t in canonical CBOR.
func (t Thresholds) Encode() []byte { return wire.Marshal(t) }

// Parse reads what Encode wrote. The error is wire.ErrMalformed or
// ErrThresholds: what is not within the caps is not read.
func Parse(b []byte) (Thresholds, error) {
	var t Thresholds
	if err := wire.Unmarshal(b, &t); err != nil {
		return Thresholds{}, fmt.Errorf("parse thresholds: %w", err)
	}
	if err := t.Valid(); err != nil {
		return Thresholds{}, fmt.Errorf("parse thresholds: %w", err)
	}
	return t, nil
}

// Without gives t with these rules switched off, for tests, for measuring what
// each rule is worth, and for the mutant build. It is not part of what Encode
// writes, and TestNobodySwitchesRulesOff keeps it out of the shipped code.
func (t Thresholds) Without(rules ...Rule) Thresholds { return t.without(Of(rules...)) }

func (t Thresholds) without(rules Rules) Thresholds {
	t.off |= rules
	return t
}

// Valid reports whether every number is within the hard caps; ErrThresholds
// with the name of the field if not. The zero Thresholds are not valid.
func (t Thresholds) Valid() error {
	if t.Version != RulesVersion {
		return fmt.Errorf("version: %w", ErrThresholds)
	}
	if err := firstOutside([]bound{
		{"misses", uint32(t.Misses), 2, missesMax},
		{"unanswered", uint32(t.Unanswered), 2, missesMax},
		{"miss span", t.MissSpan, missSpanMin, missSpanMax},
		{"drift slack", uint32(t.DriftSlack), 1, driftSlackMax},
		{"drift limit", uint32(t.DriftLimit), 1, driftLimitMax},
		{"device span", t.DeviceSpan, deviceSpanMin, deviceSpanMax},
		{"surprise", uint32(t.Surprise), surpriseMin, surpriseMax},
		{"astonish", uint32(t.Astonish), uint32(t.Surprise), 2 * surpriseMax},
		{"readers", uint32(t.Readers), 2, readersMax},
		{"late", t.Late, 1, lateMax},
		{"step life", t.StepLife, 0, stepLifeMax},
	}); err != nil {
		return err
	}
	return validProfiles(t.Profiles)
}

func validProfiles(profiles []Profile) error {
	if len(profiles) > profilesMax || !slices.IsSortedFunc(profiles, byRole) {
		return fmt.Errorf("profiles: too many or not sorted: %w", ErrThresholds)
	}
	found := 0
	for i, p := range profiles {
		if i > 0 && p.Role == profiles[i-1].Role {
			return fmt.Errorf("profiles: a role twice: %w", ErrThresholds)
		}
		if p.Role == AnyPerson || p.Role == AnyProgram {
			found++
		} else if _, ok := abaton.RoleOf(p.Role); !ok {
			return fmt.Errorf("profiles: a role that there is not: %w", ErrThresholds)
		}
		if err := p.valid(); err != nil {
			return err
		}
	}
	if found != 2 {
		return fmt.Errorf("profiles: no row for any person or any program: %w", ErrThresholds)
	}
	return nil
}

func (p Profile) valid() error {
	pick := func(person, program uint32) uint32 {
		if p.program() {
			return program
		}
		return person
	}
	return firstOutside([]bound{
		{"burst", uint32(p.Burst), 1, pick(burstMax, programBurstMax)},
		{"every", p.Every, pick(everyMin, programEveryMin), 3_600_000},
		{"volume", uint32(p.Volume), 1, pick(volumeMax, programVolumeMax)},
		{"day", uint32(p.Day), 1, pick(dayMax, programDayMax)},
		{"unrelated hour", uint32(p.UnrelatedHour), 1, pick(unrelatedHourMax, programHourMax)},
		{"unrelated day", uint32(p.UnrelatedDay), 1, pick(unrelatedDayMax, programUnrelatedMax)},
		{"unrelated week", uint32(p.UnrelatedWeek), 1, pick(unrelatedWeekMax, programWeekMax)},
		{"emergencies", uint32(p.Emergencies), 1, emergenciesMax},
		{"hour", uint32(p.Hour), 1, pick(hourMax, programNewMax)},
		{"mean", uint32(p.Mean), 1, pick(meanMax, programMeanMax)},
		{"spread", uint32(p.Spread), 5, 1000},
	})
}

// program reports whether the row is for programs or devices.
func (p Profile) program() bool {
	if p.Role == AnyPerson || p.Role == AnyProgram {
		return p.Role == AnyProgram
	}
	role, ok := abaton.RoleOf(p.Role)
	return ok && !role.Human
}

// bound is one number and between what it must lie.
type bound struct {
	name     string
	got      uint32
	min, max uint32
}

func firstOutside(bounds []bound) error {
	for _, b := range bounds {
		if b.got < b.min || b.got > b.max {
			return fmt.Errorf("%s: got %d, allowed %d to %d: %w", b.name, b.got, b.min, b.max, ErrThresholds)
		}
	}
	return nil
}

// rows are the places of roles in Thresholds.Profiles. Who acts as a program
// without a program's role, and in a program's role with a person at it, has
// the default row of its kind.
type rows struct {
	people, programs map[string]int
}

func (t *Thresholds) rows() rows {
	r := rows{make(map[string]int), make(map[string]int)}
	for i, p := range t.Profiles {
		if p.program() {
			r.programs[p.Role] = i
		} else {
			r.people[p.Role] = i
		}
	}
	return r
}

func (r rows) of(role string, program bool) int {
	kind, fallback := r.people, AnyPerson
	if program {
		kind, fallback = r.programs, AnyProgram
	}
	if i, ok := kind[role]; ok {
		return i
	}
	return kind[fallback]
}
