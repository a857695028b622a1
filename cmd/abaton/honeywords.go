package main

import (
	"crypto/rand"
	"fmt"
	"math/big"
)

// honeyWords are what made-up patients are made of: common names and common
// problems, so that none stands out.
var honeyWords = struct {
	family, women, men []string
	problems           [][2]string // SNOMED CT code and name
}{
	family: []string{"Bakker", "Visser", "Smit", "Meijer", "Mulder", "Bos", "Vos", "Peters", "Hendriks", "Dekker", "Brouwer", "Dijkstra", "Smits", "Jacobs",
		"Kok", "Prins", "Blom", "Post", "Kuipers", "Veenstra", "Martin", "Clark", "Lewis", "Walker", "Hall", "Young", "Wright", "Hill", "Green", "Baker"},
	women: []string{"Anna", "Maria", "Johanna", "Elisabeth", "Petra", "Sandra", "Linda", "Karin", "Esther", "Ingrid", "Laura", "Emma", "Sophie", "Julia", "Claire"},
	men:   []string{"Jan", "Peter", "Hendrik", "Willem", "Erik", "Marcel", "Robert", "Frank", "Thomas", "Mark", "Daniel", "Lucas", "Simon", "David", "Paul"},
	problems: [][2]string{{"38341003", "Hypertensive disorder"}, {"44054006", "Diabetes mellitus type 2"}, {"195967001", "Asthma"}, {"13645005", "Chronic obstructive lung disease"},
		{"73211009", "Diabetes mellitus"}, {"40930008", "Hypothyroidism"}, {"396275006", "Osteoarthritis"}, {"35489007", "Depressive disorder"}, {"37796009", "Migraine"}, {"235595009", "Gastroesophageal reflux disease"}},
}

// coin is a number below n.
func coin(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic("crypto/rand does not fail")
	}
	return int(v.Int64())
}

func pick(words []string) string { return words[coin(len(words))] }

// uuid is a random one (RFC 9562, version 4).
func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
