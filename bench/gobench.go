package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// goBench runs a Go benchmark of this module and returns, for each sub-
// benchmark, the metric of that unit ("ns/op", "cpu-µs/op").
func goBench(ctx context.Context, pkg, name, benchtime, unit string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+name+"$", "-benchtime", benchtime, "-count", "3", pkg)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test -bench %s %s: %w", name, pkg, err)
	}
	best := make(map[string]float64)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		for i := 3; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i-1], 64)
			if err != nil || fields[i] != unit {
				continue
			}
			key, _, _ := strings.Cut(fields[0], "-")
			if have, ok := best[key]; !ok || v < have {
				best[key] = v // the quietest of three
			}
		}
	}
	if len(best) == 0 {
		return nil, fmt.Errorf("go test -bench %s %s: no result", name, pkg)
	}
	return best, nil
}

// records measures sealing and opening without a network.
func records(ctx context.Context, b *bench) error {
	for _, r := range []struct{ bench, what, alone, together string }{
		{"BenchmarkSeal", "seal", "≤ 300 µs", "≤ 30 µs"},
		{"BenchmarkOpen", "open (audit included)", "", ""},
	} {
		got, err := goBench(ctx, "./seal", r.bench, "300x", "ns/op")
		if err != nil {
			return err
		}
		floor := b.value("bare primitives, 2 KB record")
		kem := b.value("bare HPKE encapsulation")
		b.add(row{Name: r.what + " one record alone", Value: got[r.bench+"/1"] / 1000, Unit: "µs", Budget: r.alone,
			Limit: floor + kem, LimitName: "HPKE + AES-GCM + RS + SHA-256"})
		b.add(row{Name: r.what + " a record in a batch of 64", Value: got[r.bench+"/63"] / 64 / 1000, Unit: "µs", Budget: r.together,
			Limit: floor + kem/64, LimitName: "HPKE/64 + AES-GCM + RS + SHA-256"})
	}
	return nil
}

// keeperCost measures one keeper: the decision alone, with its answer, and a
// session's first contact.
func keeperCost(ctx context.Context, b *bench) error {
	sign, verify := bareSignatures()
	kem := b.value("bare HPKE encapsulation")
	for _, r := range []struct {
		bench, times string
		row          row
	}{
		{"BenchmarkDecision", "20000x", row{Name: "keeper: decision with policy, ledgered, warm", Budget: "≤ 150 µs CPU",
			Limit: verify, LimitName: "one Ed25519 verify", Detail: "a like pipeline, another machine: 86 p10, 125 p50, without store and tree"}},
		{"BenchmarkRelease", "20000x", row{Name: "keeper: decision, ledger, release, warm", Budget: "≤ 150 µs CPU",
			Limit: sign + verify, LimitName: "one Ed25519 verify + one sign", Detail: "64 requests under way, store in memory"}},
		{"BenchmarkFirstContact", "4000x", row{Name: "keeper: first contact, with a first decision", Budget: "≤ 600 µs CPU",
			Limit: 3*verify + sign + kem, LimitName: "three Ed25519 verify + one sign + HPKE encapsulation",
			Detail: "passkey, device, posture, checkpoints, reply channel; a like pipeline, another machine: 395 p10, 508 p50, without reply channel"}},
	} {
		got, err := goBench(ctx, "./internal/custody", r.bench, r.times, "cpu-µs/op")
		if err != nil {
			return err
		}
		r.row.Value, r.row.Unit = got[r.bench], "µs"
		b.add(r.row)
	}
	return nil
}
