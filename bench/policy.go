package main

import "context"

// policies measures one decision by an organisation's policy, beside the same
// rules in Go and beside the one signature check that every request has anyway.
func policies(ctx context.Context, b *bench) error {
	got, err := goBench(ctx, "./internal/policy", "BenchmarkDecide", "5000x", "ns/op")
	if err != nil {
		return err
	}
	hand, verify := got["BenchmarkDecide/byhand"]/1000, got["BenchmarkDecide/verify"]/1000
	for _, name := range []string{"solo", "hospital"} {
		b.add(row{Name: "policy: one decision, " + name, Value: got["BenchmarkDecide/"+name] / 1000, Unit: "µs", Budget: "within 150 µs a request",
			Limit: verify, LimitName: "one Ed25519 verify", Detail: "random facts; nothing remembered"})
	}
	b.add(row{Name: "policy: the hospital's rules in Go", Value: hand, Unit: "µs", Limit: verify, LimitName: "one Ed25519 verify"})
	parse, err := goBench(ctx, "./internal/policy", "BenchmarkParse", "200x", "ns/op")
	if err != nil {
		return err
	}
	b.add(row{Name: "policy: read and validate the hospital's text", Value: parse["BenchmarkParse"] / 1e6, Unit: "ms", Detail: "once a version"})
	return nil
}
