package hl7

// person is PID as a Patient (segment-pid-to-patient).
func (x *mapping) person() object {
	pid := x.m.First("PID")
	var identifiers, names, addresses, telecoms list
	for _, f := range pid.Field(3).Each() {
		_, o := x.identifierOf(f)
		identifiers.add(o)
	}
	for _, f := range pid.Field(5).Each() {
		names.add(humanName(f, 0, nameUse(f.Part(7).Text())))
	}
	for _, f := range pid.Field(11).Each() {
		addresses.add(address(f))
	}
	for _, f := range pid.Field(13).Each() {
		telecoms.add(telecom(f, "home"))
	}
	for _, f := range pid.Field(14).Each() {
		telecoms.add(telecom(f, "work"))
	}
	var o object
	o.put("identifier", identifiers)
	o.put("name", names)
	o.put("telecom", telecoms)
	o.put("gender", gender(pid.Field(8).Text()))
	o.put("birthDate", x.birth)
	x.deceased(&o, pid)
	o.put("address", addresses)
	o.put("maritalStatus", x.marital(pid.Field(16)))
	if pid.Field(24).Text() == "Y" && literal(pid.Field(25).Text()) != "" {
		o.put("multipleBirthInteger", literal(pid.Field(25).Text()))
	}
	o.put("contact", x.contacts())
	if language := pid.Field(15).Text(); language != "" {
		o.put("communication", list{object{{"language", x.concept(pid.Field(15), systemLanguage)}, {"preferred", true}}})
	}
	return o
}

func (x *mapping) deceased(o *object, pid Segment) {
	if when := dateTime(pid.Field(29).Text(), x.o.Zone); when != "" {
		o.put("deceasedDateTime", when)
		return
	}
	switch pid.Field(30).Text() {
	case "Y":
		o.put("deceasedBoolean", true)
	case "N":
		o.put("deceasedBoolean", false)
	}
}

func (x *mapping) marital(f Field) (o object) {
	if code := maritalStatus(f.Text()); code != "" {
		coding := object{{"system", systemMarital}, {"code", code}}
		coding.put("display", f.Part(2).Text())
		return object{{"coding", list{coding}}}
	}
	return x.concept(f, "")
}

// contacts are NK1 (segment-nk1-to-patient).
func (x *mapping) contacts() (all list) {
	for _, s := range x.m.segments {
		if s.Name != "NK1" {
			continue
		}
		var c object
		c.put("relationship", concepts(x.concept(s.Field(3), "http://terminology.hl7.org/CodeSystem/v2-0063")))
		c.put("name", humanName(s.Field(2).First(), 0, ""))
		var telecoms list
		for _, f := range s.Field(5).Each() {
			telecoms.add(telecom(f, "home"))
		}
		c.put("telecom", telecoms)
		c.put("address", address(s.Field(4)))
		if empty(c) || s.Field(2).Empty() && len(telecoms) == 0 && s.Field(4).Empty() { // pat-1
			continue
		}
		all.add(c)
	}
	return all
}

func concepts(all ...object) (l list) {
	for _, o := range all {
		l.add(o)
	}
	return l
}
