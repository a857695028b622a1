package spread

import (
	"crypto/rand"
	"testing"

	"github.com/abaton-health/abaton"
)

// slowMultiply is schoolbook multiplication modulo x^8+x^4+x^3+x+1.
func slowMultiply(a, b byte) byte {
	product := 0
	for i := range 8 {
		if b>>i&1 == 1 {
			product ^= int(a) << i
		}
	}
	for i := 15; i >= 8; i-- {
		if product>>i&1 == 1 {
			product ^= 0x11b << (i - 8)
		}
	}
	return byte(product)
}

func slowEvaluate(coefficients []byte, x byte) (y byte) {
	power := byte(1)
	for _, c := range coefficients {
		y ^= slowMultiply(c, power)
		power = slowMultiply(power, x)
	}
	return y
}

func TestFieldAgreesWithSchoolbook(t *testing.T) {
	for a := range 256 {
		if a != 0 && slowMultiply(byte(a), invert(byte(a))) != 1 {
			t.Fatalf("invert(%d): got %d, want its inverse", a, invert(byte(a)))
		}
		for b := range 256 {
			if got, want := multiply(byte(a), byte(b)), slowMultiply(byte(a), byte(b)); got != want {
				t.Fatalf("multiply(%d, %d): got %d, want %d", a, b, got, want)
			}
			var w [32]byte
			w[b%32] = byte(b)
			if got, want := toWords(w).scale(byte(a)).bytes()[b%32], slowMultiply(byte(a), byte(b)); got != want {
				t.Fatalf("scale of %d by %d: got %d, want %d", b, a, got, want)
			}
		}
	}
}

func TestEvaluateAgreesWithSchoolbook(t *testing.T) {
	for degree := range 5 {
		var secret [32]byte
		rand.Read(secret[:])
		coefficients := make([][32]byte, degree)
		for i := range coefficients {
			rand.Read(coefficients[i][:])
		}
		for _, s := range Evaluate(secret, coefficients, []abaton.KeeperIndex{1, 2, 7, 255}) {
			for b := range 32 {
				column := []byte{secret[b]}
				for i := range coefficients {
					column = append(column, coefficients[i][b])
				}
				if got, want := s.Y[b], slowEvaluate(column, byte(s.X)); got != want {
					t.Fatalf("degree %d, x %d, byte %d: got %d, want %d", degree, s.X, b, got, want)
				}
			}
		}
	}
}

func TestSplitCombine(t *testing.T) {
	xs := FiveKeepers().X
	var secret [32]byte
	rand.Read(secret[:])
	shares := Split(secret, 3, xs)
	subsets(5, 3, func(pick []int) bool {
		chosen := []Share{shares[pick[0]], shares[pick[1]], shares[pick[2]]}
		got, err := Combine(chosen)
		if err != nil || got != secret {
			t.Errorf("shares %v: got another secret or %v", pick, err)
		}
		for _, s := range shares {
			if y, err := Interpolate(chosen, s.X); err != nil || y != s.Y {
				t.Errorf("shares %v at x = %d: got another share or %v", pick, s.X, err)
			}
		}
		return true
	})
	if got, err := Combine(shares[:2]); err != nil || got == secret {
		t.Errorf("two of three shares: got the secret or %v, want another value", err)
	}
	if a, b := Split(secret, 3, xs), Split(secret, 3, xs); a[0].Y == b[0].Y {
		t.Error("two splits gave equal shares, want fresh coefficients")
	}
}

func TestCombineRefuses(t *testing.T) {
	for name, shares := range map[string][]Share{
		"none": nil, "one": {{X: 1}}, "twice the same keeper": {{X: 1}, {X: 1}}, "x of zero": {{X: 0}, {X: 1}},
	} {
		if _, err := Combine(shares); err == nil {
			t.Errorf("%s: got a secret, want ErrShares", name)
		}
	}
}

// TestRepair rebuilds each keeper's share from each three others.
func TestRepair(t *testing.T) {
	xs := FiveKeepers().X
	var secret [32]byte
	rand.Read(secret[:])
	shares := Split(secret, 3, xs)
	for target := range xs {
		subsets(5, 3, func(pick []int) bool {
			helpers := []abaton.KeeperIndex{xs[pick[0]], xs[pick[1]], xs[pick[2]]}
			received := make([][][32]byte, 3)
			for _, p := range pick {
				parts, err := RepairParts(shares[p], helpers, xs[target])
				if p == target || pick[0] == target || pick[1] == target || pick[2] == target {
					if err == nil {
						t.Errorf("helpers %v for %d: got parts, want a refusal", helpers, xs[target])
					}
					return true
				}
				if err != nil {
					t.Fatalf("helpers %v for %d: %v", helpers, xs[target], err)
				}
				for to := range parts {
					received[to] = append(received[to], parts[to])
				}
			}
			sums := [][32]byte{SumParts(received[0]), SumParts(received[1]), SumParts(received[2])}
			if got := SumParts(sums); got != shares[target].Y {
				t.Errorf("helpers %v for %d: got another share", helpers, xs[target])
			}
			return true
		})
	}
	if _, err := RepairParts(shares[0], []abaton.KeeperIndex{2, 3, 4}, 5); err == nil {
		t.Error("a helper outside the helpers: got parts, want a refusal")
	}
}
