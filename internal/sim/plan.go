package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/abaton-health/abaton"
)

// Fault is a kind of trouble that a plan may hold.
type Fault uint8

// The faults. The first group is transient: any number of them at once must
// do no harm. The second spends the budget f.
const (
	Crash Fault = iota
	Partition
	OneWay
	Swizzle
	Slow
	DiskFull
	ClockJump
	WriterCrash
	Byzantine
	RolledBack
	Wiped
	faultKinds
)

func (f Fault) String() string {
	return [...]string{"crash", "partition", "one-way", "swizzle", "slow", "disk-full", "clock-jump",
		"writer-crash", "byzantine", "rolled-back", "wiped"}[f]
}

// Plan is everything a seed decides before the world begins.
type Plan struct {
	Seed    uint64
	Life    time.Duration // until the faults stop
	Batches int
	Events  int // grants, revocations, erasures
	Lists   int // of each reader
	Readers int
	Devices int // of the patient
	Relocks int
	Drop    float64
	Twice   float64
	Late    float64
	Times   [faultKinds]int // how often each transient fault strikes
	Lies    Lie
	// Bad are the keepers that spend the budget and how; at most f of them,
	// unless the plan goes over budget on purpose.
	Bad    [keepers + 1]Fault
	Mutant Mutant // the rule that is broken
	Stage  Mutant // whose schedule is played
	// Over names the one promise that still holds where more keepers are bad
	// than the budget bears; empty in every other plan.
	Over string
}

// sane is Bad of a keeper that spends no budget.
const sane = Crash

// NewPlan is the world of a seed.
func NewPlan(seed uint64) Plan {
	rng := rand.New(rand.NewPCG(seed, 0x706c616e))
	p := Plan{
		Seed: seed, Life: time.Duration(20+rng.IntN(45)) * time.Second,
		Batches: 2 + rng.IntN(batchesMax-1), Events: 2 + rng.IntN(6), Lists: 3 + rng.IntN(8),
		Readers: 1 + rng.IntN(2), Devices: 1 + rng.IntN(2), Relocks: rng.IntN(5),
	}
	if rng.IntN(20) == 0 {
		return p // a world without faults
	}
	p.Drop, p.Twice, p.Late = rng.Float64()*0.3, rng.Float64()*0.15, rng.Float64()*0.1
	for f := Crash; f < Byzantine; f++ {
		if rng.IntN(2) == 0 {
			p.Times[f] = 1 + rng.IntN(3)
		}
	}
	if bad := rng.IntN(8); bad < 6 {
		x := 1 + rng.IntN(keepers)
		p.Bad[x] = [...]Fault{Byzantine, Byzantine, Byzantine, RolledBack, RolledBack, Wiped}[bad]
		p.Lies = Lie(rng.Uint32())
	}
	return p
}

// OverBudget is the world of a seed with one bad keeper too many.
func OverBudget(seed uint64) Plan {
	p := NewPlan(seed)
	rng := rand.New(rand.NewPCG(seed, 0x6f766572))
	p.Bad = [keepers + 1]Fault{}
	first := 1 + rng.IntN(keepers)
	p.Bad[first], p.Bad[1+first%keepers] = Byzantine, Byzantine
	p.Lies = ^Lie(0)
	return p
}

// faultless reports whether nothing at all goes wrong in this world.
func (p *Plan) faultless() bool {
	return p.Drop == 0 && p.Times == [faultKinds]int{} && p.Bad == [keepers + 1]Fault{} && p.Mutant == 0
}

// command replays the world of the plan.
func (p *Plan) command() string {
	command := fmt.Sprintf("go test ./internal/sim -count=1 -run Sim -seed %d -seeds 1 -events", p.Seed)
	if p.Stage != 0 {
		command += fmt.Sprintf(" -stage %d", p.Stage)
	}
	if p.Mutant != 0 {
		command += " -broken"
	}
	return command
}

// honest reports whether the plan leaves keeper x inside the budget.
func (p *Plan) honest(x abaton.KeeperIndex) bool { return p.Bad[x] == sane }
