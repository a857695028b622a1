package relation_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/wire"
)

const now = 1_800_000_000

var (
	org     = abaton.ActorID{1}
	patient = abaton.ActorID{2}
	doctor  = abaton.ActorID{3}
	orgKey  = key.SigningFromSeed(key.Secret{1})
	ownKey  = key.SigningFromSeed(key.Secret{2})
)

func entry(k relation.Kind, change func(*relation.Entry)) relation.Entry {
	e := relation.Entry{Patient: patient, Whom: doctor, Kind: k, From: now, Until: now + 3600}
	switch k {
	case relation.Raised, relation.Duty:
		e.Whom = abaton.ActorID{}
	case relation.Honey:
		e = relation.MakeHoney(ownKey, patient, org, now, now+3600)
	}
	if change != nil {
		change(&e)
	}
	return e
}

func TestEntries(t *testing.T) {
	day := int64(24 * 3600)
	for _, c := range []struct {
		name string
		e    relation.Entry
		want abaton.Reason
	}{
		{"appointment", entry(relation.Appointment, nil), ""},
		{"appointment of a week", entry(relation.Appointment, func(e *relation.Entry) { e.Until = e.From + 7*day }), ""},
		{"appointment of more", entry(relation.Appointment, func(e *relation.Entry) { e.Until = e.From + 7*day + 1 }), abaton.ReasonMalformed},
		{"admission of 45 days", entry(relation.Admission, func(e *relation.Entry) { e.Until = e.From + 45*day }), ""},
		{"admission of more", entry(relation.Admission, func(e *relation.Entry) { e.Until = e.From + 45*day + 1 }), abaton.ReasonMalformed},
		{"referral", entry(relation.Referral, func(e *relation.Entry) { e.Until = e.From + 90*day }), ""},
		{"order", entry(relation.Order, func(e *relation.Entry) { e.Until = e.From + 30*day }), ""},
		{"hand-over", entry(relation.HandOver, func(e *relation.Entry) { e.Until = e.From + day }), ""},
		{"hand-over of more", entry(relation.HandOver, func(e *relation.Entry) { e.Until = e.From + day + 1 }), abaton.ReasonMalformed},
		{"own", entry(relation.Own, func(e *relation.Entry) { e.Until = e.From + 400*day }), ""},
		{"own for ever", entry(relation.Own, func(e *relation.Entry) { e.Until = e.From + 400*day + 1 }), abaton.ReasonMalformed},
		{"kin", entry(relation.Kin, nil), ""},
		{"kin of nobody", entry(relation.Kin, func(e *relation.Entry) { e.Whom = abaton.ActorID{} }), abaton.ReasonMalformed},
		{"colleague of one", entry(relation.Colleague, nil), ""},
		{"colleague of all", entry(relation.Colleague, func(e *relation.Entry) { e.Whom = abaton.ActorID{} }), ""},
		{"raised", entry(relation.Raised, nil), ""},
		{"raised for one", entry(relation.Raised, func(e *relation.Entry) { e.Whom = doctor }), abaton.ReasonMalformed},
		{"honey", entry(relation.Honey, nil), ""},
		{"honey for one", entry(relation.Honey, func(e *relation.Entry) { e.Whom = doctor }), abaton.ReasonMalformed},
		{"honey without the patient's word", entry(relation.Honey, func(e *relation.Entry) { e.Word = nil }), abaton.ReasonMalformed},
		{"honey beyond the word", entry(relation.Honey, func(e *relation.Entry) { e.Until++ }), abaton.ReasonMalformed},
		{"honey of another patient", entry(relation.Honey, func(e *relation.Entry) { e.Patient[0]++ }), abaton.ReasonMalformed},
		{"honey to another house", relation.MakeHoney(ownKey, patient, abaton.ActorID{9}, now, now+1), abaton.ReasonMalformed},
		{"honey whose word is bent", entry(relation.Honey, func(e *relation.Entry) { e.Word = bend(e.Word) }), abaton.ReasonSignature},
		{"honey taken back", entry(relation.Honey, func(e *relation.Entry) { e.Until, e.Word = e.From, nil }), ""},
		{"honey taken back with a word", entry(relation.Honey, func(e *relation.Entry) { e.Until = e.From }), abaton.ReasonMalformed},
		{"a word for another kind", entry(relation.Kin, func(e *relation.Entry) { e.Word = []byte{1} }), abaton.ReasonMalformed},
		{"a word for an expected kind", entry(relation.Order, func(e *relation.Entry) { e.Word = []byte{1} }), abaton.ReasonMalformed},
		{"expected of everybody", entry(relation.Admission, func(e *relation.Entry) { e.Whom = abaton.ActorID{} }), abaton.ReasonMalformed},
		{"taken back", entry(relation.Admission, func(e *relation.Entry) { e.Until = e.From }), ""},
		{"ends before it begins", entry(relation.Admission, func(e *relation.Entry) { e.Until = e.From - 1 }), abaton.ReasonMalformed},
		{"no patient", entry(relation.Admission, func(e *relation.Entry) { e.Patient = abaton.ActorID{} }), abaton.ReasonMalformed},
		{"no kind", entry(0, nil), abaton.ReasonMalformed},
		{"duty", entry(relation.Duty, nil), ""},
		{"duty of more than a day", entry(relation.Duty, func(e *relation.Entry) { e.Until = e.From + day + 1 }), abaton.ReasonMalformed},
		{"duty for another", entry(relation.Duty, func(e *relation.Entry) { e.Whom = doctor }), abaton.ReasonMalformed},
		{"duty with a word", entry(relation.Duty, func(e *relation.Entry) { e.Word = []byte{1} }), abaton.ReasonMalformed},
		{"unknown kind", entry(12, nil), abaton.ReasonMalformed},
		{"before 1970", entry(relation.Order, func(e *relation.Entry) { e.From, e.Until = -1, 1 }), abaton.ReasonMalformed},
		{"made a year ahead", entry(relation.Appointment, func(e *relation.Entry) { e.From, e.Until = now+400*day, now+400*day+1 }), ""},
		{"made for later", entry(relation.Appointment, func(e *relation.Entry) { e.From, e.Until = now+400*day+1, now+400*day+2 }), abaton.ReasonMalformed},
	} {
		message := seal(statement(c.e), orgKey)
		if got := reasonOf(parse(message)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		_, err := relation.Sign(orgKey, org, time.Unix(now, 0), []relation.Entry{c.e})
		if got := reasonOf(err); got != c.want && c.e.Kind != relation.Honey { // a word is read by Parse
			t.Errorf("%s: signing it: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestStatements(t *testing.T) {
	one := entry(relation.Order, nil)
	two := entry(relation.Order, func(e *relation.Entry) { e.Patient[1] = 1 })
	many := make([]relation.Entry, relation.EntriesMax+1)
	for i := range many {
		many[i] = entry(relation.Order, func(e *relation.Entry) { e.Patient = abaton.ActorID{2, byte(i >> 8), byte(i)} })
	}
	with := func(change func(*relation.Relations), entries ...relation.Entry) relation.Relations {
		r := statement(entries...)
		change(&r)
		return r
	}
	for _, c := range []struct {
		name string
		r    relation.Relations
		want abaton.Reason
	}{
		{"two", statement(one, two), ""},
		{"the most", statement(many[1:]...), ""},
		{"too many", statement(many...), abaton.ReasonTooLarge},
		{"none", statement(), abaton.ReasonMalformed},
		{"out of order", statement(two, one), abaton.ReasonMalformed},
		{"one thing twice", statement(one, entry(relation.Order, func(e *relation.Entry) { e.Until++ })), abaton.ReasonMalformed},
		{"another version", with(func(r *relation.Relations) { r.V = 2 }, one), abaton.ReasonMalformed},
		{"no organisation", with(func(r *relation.Relations) { r.Organisation = abaton.ActorID{} }, one), abaton.ReasonMalformed},
		{"no key", with(func(r *relation.Relations) { r.Key = abaton.KeyID{} }, one), abaton.ReasonMalformed},
		{"another key", with(func(r *relation.Relations) { r.Key = ownKey.ID() }, one), abaton.ReasonSignature},
		{"no time", with(func(r *relation.Relations) { r.Time = -1 }, one), abaton.ReasonMalformed},
	} {
		if got := reasonOf(parse(seal(c.r, orgKey))); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := reasonOf(parse(make([]byte, relation.SignedBytesMax+1))); got != abaton.ReasonTooLarge {
		t.Errorf("a long message: got %q, want %q", got, abaton.ReasonTooLarge)
	}
	if size := len(seal(statement(many[1:]...), orgKey)); size > relation.SignedBytesMax {
		t.Errorf("the largest statement has %d bytes, more than SignedBytesMax", size)
	}
}

// TestHoneyIsFew: a stranger's message costs few verifications.
func TestHoneyIsFew(t *testing.T) {
	var all []relation.Entry
	for i := range relation.HoneyMax + 1 {
		all = append(all, relation.MakeHoney(ownKey, abaton.ActorID{2, byte(i)}, org, now, now+1))
	}
	if got := reasonOf(parse(seal(statement(all...), orgKey))); got != abaton.ReasonTooLarge {
		t.Errorf("one too many: got %q, want %q", got, abaton.ReasonTooLarge)
	}
	if err := parse(seal(statement(all[1:]...), orgKey)); err != nil {
		t.Errorf("the most: got %v, want it read", err)
	}
}

// TestSignSorts: whoever signs need not know the order.
func TestSignSorts(t *testing.T) {
	entries := []relation.Entry{
		entry(relation.Order, func(e *relation.Entry) { e.From++ }), entry(relation.Order, nil), entry(relation.Appointment, nil),
		entry(relation.Order, func(e *relation.Entry) { e.Whom[0]-- }), entry(relation.Order, func(e *relation.Entry) { e.Patient[0]-- }),
	}
	before := slices.Clone(entries)
	message, err := relation.Sign(orgKey, org, time.Unix(now, 0), entries)
	if err != nil {
		t.Fatal(err)
	}
	told, err := relation.Parse(message)
	if err != nil || !slices.IsSortedFunc(told.Entries, relation.Compare) || len(told.Entries) != len(entries) {
		t.Fatalf("got %v entries, %v; want all, in order", told, err)
	}
	for i := range before {
		if relation.Compare(before[i], entries[i]) != 0 {
			t.Error("Sign changed the caller's entries")
		}
	}
}

func TestSaidBy(t *testing.T) {
	others := ^(actor.Write | actor.Manage)
	for k := relation.Kind(0); k <= 13; k++ {
		write := k >= relation.Appointment && k <= relation.HandOver || k == relation.Duty
		manage := k >= relation.Appointment && k <= relation.Duty
		if k.SaidBy(actor.Write) != write || k.SaidBy(actor.Manage) != manage || k.SaidBy(others) || k.SaidBy(0) {
			t.Errorf("kind %d: said by a writer %t, by who manages %t, by others %t", k, k.SaidBy(actor.Write), k.SaidBy(actor.Manage), k.SaidBy(others))
		}
		if (k.Life() > 0) != manage {
			t.Errorf("kind %d: life %v", k, k.Life())
		}
	}
	r := statement(entry(relation.Order, nil), entry(relation.Kin, nil))
	if r.SaidBy(actor.Write) || !r.SaidBy(actor.Manage) {
		t.Error("both: want who manages alone")
	}
	if none := statement(); none.SaidBy(actor.Manage) {
		t.Error("a statement of nothing is said by somebody")
	}
}

func TestInTime(t *testing.T) {
	r := statement(entry(relation.Order, nil))
	for after, want := range map[int64]abaton.Reason{0: "", 120: "", -120: "", 121: abaton.ReasonTime, -121: abaton.ReasonTime} {
		if got := reasonOf(r.InTime(time.Unix(now+after, 0))); got != want {
			t.Errorf("%d s: got %q, want %q", after, got, want)
		}
	}
}

func TestWordKey(t *testing.T) {
	e := entry(relation.Honey, nil)
	if got := e.WordKey(); got != ownKey.ID() {
		t.Errorf("got %v, want the patient's key", got)
	}
	e.Word = []byte{1}
	if got := e.WordKey(); got != (abaton.KeyID{}) {
		t.Errorf("got %v of no word, want none", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(seal(statement(entry(relation.Order, nil), entry(relation.Kin, nil)), orgKey))
	f.Add(seal(statement(entry(relation.Honey, nil)), orgKey))
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := relation.Parse(message)
		if err != nil {
			return
		}
		var s wire.Signed
		if wire.Unmarshal(message, &s) != nil || !bytes.Equal(wire.Marshal(r), s.Body) {
			t.Error("a statement has two forms")
		}
		if !r.SaidBy(actor.Manage) || r.SaidBy(0) {
			t.Error("a statement that needs no right")
		}
	})
}

// statement is the form of entries as they are, in the order given.
func statement(entries ...relation.Entry) relation.Relations {
	return relation.Relations{V: wire.Version, Organisation: org, Key: orgKey.ID(), Time: now, Entries: entries}
}

func seal(r relation.Relations, k *key.Signing) []byte {
	return wire.Marshal(k.Seal(wire.Relations, wire.Marshal(r)))
}

func bend(signed []byte) []byte {
	out := slices.Clone(signed)
	out[len(out)-1] ^= 1
	return out
}

func parse(message []byte) error {
	_, err := relation.Parse(message)
	return err
}

func reasonOf(err error) abaton.Reason {
	if err == nil {
		return ""
	}
	if e, ok := err.(*abaton.RefusedError); ok {
		return e.Reason
	}
	return abaton.Reason(err.Error())
}
