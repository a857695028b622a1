package report

import "fmt"

// Severity is how bad it was by a published method, computed from the incident
// alone: whoever has the file computes it again (Verify does). It is no legal
// judgement of risk; that one a person makes.
type Severity struct {
	Method  string   `json:"method"`
	Factors []Factor `json:"factors"`
	Score   int      `json:"score"` // hundredths: context times identification, and circumstances
	Level   string   `json:"level"` // low, medium, high, very high
	// Unintelligible: records that were asked for and stayed sealed.
	Unintelligible int  `json:"unintelligible"`
	Over100        bool `json:"over_100_people"`
}

// Factor is one number of the method. Stated ones rest on a person's word.
type Factor struct {
	Name     string   `json:"name"`
	Value    int      `json:"value"` // hundredths
	Why      string   `json:"why"`
	Stated   bool     `json:"stated"`
	Evidence []string `json:"evidence"`
}

// severityMethod names what is computed: severity = context x identification +
// circumstances; below 2 low, below 3 medium, below 4 high, else very high.
const severityMethod = "ENISA, Recommendations for a methodology of the assessment of severity of personal data breaches, working document v1.0, December 2013"

// severityOf is the severity of an incident. What is not known counts as the worst.
func severityOf(i *Incident) Severity {
	s := Severity{Method: severityMethod, Unintelligible: i.Scope.Records.Asked, Over100: i.Scope.People.Opened+i.Scope.People.Close > 100}
	s.Factors = []Factor{contextOf(i), identification(i), confidentiality(i)}
	for _, c := range []struct {
		name, why string
		touched   bool
	}{{"integrity", "records were written by these requests: what, a person must look at", i.CIA.Integrity},
		{"availability", "records were erased by these requests", i.CIA.Availability}} {
		if c.touched {
			s.Factors = append(s.Factors, Factor{Name: c.name, Value: 50, Why: c.why, Evidence: evidenceOf(i)})
		}
	}
	s.Factors = append(s.Factors, malice(i))
	s.Score = s.Factors[0].Value * s.Factors[1].Value / 100
	if s.Factors[0].Value > 0 {
		for _, f := range s.Factors[2:] {
			s.Score += f.Value
		}
	}
	switch {
	case s.Score < 200:
		s.Level = "low"
	case s.Score < 300:
		s.Level = "medium"
	case s.Score < 400:
		s.Level = "high"
	default:
		s.Level = "very high"
	}
	return s
}

func contextOf(i *Incident) Factor {
	f := Factor{Name: "data processing context", Value: 400, Why: "data concerning health; what is in the records is sealed, so nothing lowers it", Evidence: evidenceOf(i)}
	if i.Scope.Records.Opened+i.Scope.Records.Close == 0 && i.Complete.Whole && !i.CIA.Integrity && !i.CIA.Availability {
		f.Value, f.Why, f.Evidence = 0, "no record was opened, and the list is complete", append([]string{}, i.Complete.Evidence...)
	}
	return f
}

func identification(*Incident) Factor {
	return Factor{Name: "ease of identification", Value: 100, Why: "a medical record names its patient", Evidence: []string{}}
}

// confidentiality counts who has it: people of the house can be named, a thief cannot.
func confidentiality(i *Incident) Factor {
	f := Factor{Name: "confidentiality", Value: 50, Why: "who has it now is not known", Stated: i.Vector != "", Evidence: evidenceOf(i)}
	switch i.Vector {
	case Insider, SharedAccount, Emergency:
		f.Value, f.Why = 25, fmt.Sprintf("those who read are known: %d accounts of the organisation", len(i.Subject.Actors))
	}
	return f
}

func malice(i *Incident) Factor {
	f := Factor{Name: "malicious intent", Value: 50, Why: "intent is not known, so the worst is assumed", Stated: i.Vector != "", Evidence: []string{}}
	switch i.Vector {
	case SharedAccount:
		f.Value, f.Why = 0, "an account that several used; no intent to harm is stated"
	case "":
	default:
		f.Why = vectorWords[i.Vector]
	}
	return f
}

// evidenceOf are the entries behind who and what was read.
func evidenceOf(i *Incident) []string { return append([]string{}, (&known{i: i}).reads()...) }

// hundredths is a number of hundredths as people write it.
func hundredths(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

// String is the severity on one line.
func (s *Severity) String() string {
	return fmt.Sprintf("%s, %s", s.Level, hundredths(s.Score))
}

// Lines are the factors, one a line.
func (s *Severity) Lines() (all []string) {
	for _, f := range s.Factors {
		from := "from the entries"
		if f.Stated {
			from = "as stated"
		}
		all = append(all, fmt.Sprintf("%s %s: %s (%s)", f.Name, hundredths(f.Value), f.Why, from))
	}
	return all
}
