package spread

import (
	"bytes"
	"crypto/rand"
	"testing"
)

// The reference of PROTOCOL.md#code: V[r][c] = r^c over GF(2^8)/0x11D, made
// systematic by the inverse of its top k rows.

func mul11d(a, b byte) byte {
	product := 0
	for i := range 8 {
		if b>>i&1 == 1 {
			product ^= int(a) << i
		}
	}
	for i := 15; i >= 8; i-- {
		if product>>i&1 == 1 {
			product ^= 0x11d << (i - 8)
		}
	}
	return byte(product)
}

func inv11d(a byte) byte {
	for b := range 256 {
		if mul11d(a, byte(b)) == 1 {
			return byte(b)
		}
	}
	return 0
}

func systematic(n, k int) [][]byte {
	rows := make([][]byte, n)
	for r := range rows {
		rows[r] = make([]byte, k)
		power := byte(1)
		for c := range rows[r] {
			rows[r][c] = power
			power = mul11d(power, byte(r))
		}
	}
	// Column operations that turn the top into the identity.
	for c := range k {
		scale := inv11d(rows[c][c])
		if rows[c][c] == 0 {
			for other := c + 1; other < k; other++ {
				if rows[c][other] != 0 {
					for r := range rows {
						rows[r][c], rows[r][other] = rows[r][other], rows[r][c]
					}
					break
				}
			}
			scale = inv11d(rows[c][c])
		}
		for r := range rows {
			rows[r][c] = mul11d(rows[r][c], scale)
		}
		for other := range k {
			if factor := rows[c][other]; other != c && factor != 0 {
				for r := range rows {
					rows[r][other] ^= mul11d(factor, rows[r][c])
				}
			}
		}
	}
	return rows
}

func TestCodeAgreesWithReference(t *testing.T) {
	for _, shape := range [][2]uint8{{5, 3}, {6, 3}, {4, 2}, {7, 4}, {3, 3}, {16, 8}} {
		n, k := int(shape[0]), int(shape[1])
		code, err := NewCode(shape[0], shape[1])
		if err != nil {
			t.Fatal(err)
		}
		matrix := systematic(n, k)
		for length := 1; length < 40; length++ {
			word := make([]byte, length)
			rand.Read(word)
			fragments := code.Encode(word)
			size := FragmentBytes(length, shape[1])
			padded := append(append([]byte(nil), word...), make([]byte, size*k-length)...)
			for p := range n {
				want := make([]byte, size)
				for b := range want {
					for c := range k {
						want[b] ^= mul11d(matrix[p][c], padded[c*size+b])
					}
				}
				if !bytes.Equal(fragments[p], want) {
					t.Fatalf("%d of %d, length %d, position %d: got %x, want %x", k, n, length, p, fragments[p], want)
				}
			}
		}
	}
}

func TestDecodeFromEverySubset(t *testing.T) {
	code, err := NewCode(5, 3)
	if err != nil {
		t.Fatal(err)
	}
	word := make([]byte, 433)
	rand.Read(word)
	fragments := code.Encode(word)
	subsets(5, 3, func(pick []int) bool {
		places := make([][]byte, 5)
		for _, p := range pick {
			places[p] = fragments[p]
		}
		got, all, err := code.Decode(places, len(word))
		if err != nil || !bytes.Equal(got, word) {
			t.Errorf("positions %v: got another word or %v", pick, err)
		}
		for p := range all {
			if !bytes.Equal(all[p], fragments[p]) {
				t.Errorf("positions %v: fragment %d differs", pick, p)
			}
		}
		return true
	})
	two := [][]byte{fragments[0], fragments[1], nil, nil, nil}
	short := [][]byte{fragments[0], fragments[1], fragments[2][1:], nil, nil}
	for name, places := range map[string][][]byte{"two": two, "all": fragments, "a short one": short, "none": nil} {
		if _, _, err := code.Decode(places, len(word)); err == nil {
			t.Errorf("%s: got a word, want ErrFragments", name)
		}
	}
}

func TestBuckets(t *testing.T) {
	for _, c := range [][2]int{
		{1, 256}, {256, 256}, {257, 384}, {385, 512}, {513, 768}, {769, 1024}, {1025, 1536},
		{49152, 49152}, {49153, 65536}, {65536, 65536}, {65537, 67584}, {1 << 20, 1 << 20}, {1<<20 + 1, 1081344},
	} {
		if got := Bucket(c[0]); got != c[1] {
			t.Errorf("Bucket(%d): got %d, want %d", c[0], got, c[1])
		}
	}
	valid := make(map[int]bool)
	for n := 1; n < 1<<18; n++ {
		b := Bucket(n)
		if b < n || Bucket(b) != b {
			t.Fatalf("Bucket(%d): got %d, not a bucket of it", n, b)
		}
		valid[CodeWordBytes(b)] = true
	}
	for length := range 1 << 18 {
		if got, want := ValidCodeWordBytes(length), valid[length]; got != want {
			t.Fatalf("ValidCodeWordBytes(%d): got %v, want %v", length, got, want)
		}
	}
	if ValidCodeWordBytes(CodeWordBytesMax()+1) || !ValidCodeWordBytes(CodeWordBytesMax()) {
		t.Error("CodeWordBytesMax is not the largest valid length")
	}
}

func TestShapeValidate(t *testing.T) {
	if err := FiveKeepers().Validate(); err != nil {
		t.Fatalf("five keepers: %v", err)
	}
	for name, change := range map[string]func(*Shape){
		"zero": func(s *Shape) { *s = Shape{} }, "k above n": func(s *Shape) { s.K = 6 }, "t above n": func(s *Shape) { s.T = 6 },
		"k of one": func(s *Shape) { s.K = 1 }, "t of one": func(s *Shape) { s.T = 1 }, "n above x": func(s *Shape) { s.N = 6 },
		"x of zero": func(s *Shape) { s.X[0] = 0 }, "x twice": func(s *Shape) { s.X[1] = 1 }, "x falling": func(s *Shape) { s.X[4] = 3 },
	} {
		s := FiveKeepers()
		change(&s)
		if s.Validate() == nil {
			t.Errorf("%s: got no error, want ErrShape", name)
		}
	}
}
