// Holds every file of a folder against the R4 definitions with HL7's validator
// and prints what it finds: file, severity, place, message. Ends with 1 where
// there is an error. No terminology server and no network: codes of external
// systems (LOINC, SNOMED CT, RxNorm) are not looked up. "known" is an error of
// this validator's own: in a searchset inside a response Bundle it does not know
// the members of Bundle.link; the same searchset by itself has no error.
// With a second folder, of an implementation guide's StructureDefinitions,
// ValueSets and CodeSystems, what claims one of its profiles is held against that
// too, and a profile nobody knows is an error.
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.TreeMap;
import org.hl7.fhir.common.hapi.validation.support.CachingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

class Validate {
  public static void main(String[] args) throws Exception {
    var context = FhirContext.forR4();
    var guide = new PrePopulatedValidationSupport(context);
    int read = 0;
    if (args.length > 1) {
      try (var files = Files.list(Path.of(args[1]))) {
        for (Path file : files.filter(f -> f.getFileName().toString().matches("(StructureDefinition|ValueSet|CodeSystem)-.*\\.json")).toList()) {
          guide.addResource(context.newJsonParser().parseResource(Files.readString(file)));
          read++;
        }
      }
      System.err.println("definitions of the guide\t" + read);
    }
    var known = new ValidationSupportChain(
        new DefaultProfileValidationSupport(context),
        guide,
        new SnapshotGeneratingValidationSupport(context),
        new InMemoryTerminologyServerValidationSupport(context),
        new CommonCodeSystemsTerminologyService(context));
    var module = new FhirInstanceValidator(new CachingValidationSupport(known));
    module.setNoTerminologyChecks(false);
    module.setErrorForUnknownProfiles(args.length > 1);
    module.setAnyExtensionsAllowed(true);
    FhirValidator validator = context.newValidator().registerValidatorModule(module);
    var counts = new TreeMap<String, Integer>();
    boolean failed = false;
    try (var files = Files.list(Path.of(args[0]))) {
      for (Path file : files.sorted(Comparator.naturalOrder()).toList()) {
        var outcome = validator.validateWithResult(Files.readString(file));
        for (var m : outcome.getMessages()) {
          boolean own = m.getLocationString().matches(".*\\.entry\\[\\d+\\]\\.resource\\.link\\[\\d+\\]")
              && m.getMessage().matches("Unrecognized property '(relation|url)'");
          String severity = own ? "known" : m.getSeverity().getCode();
          System.out.println(file.getFileName() + "\t" + severity + "\t" + m.getLocationString() + "\t" + m.getMessage().replace('\n', ' '));
          counts.merge(file.getFileName() + "\t" + severity, 1, Integer::sum);
          failed |= !own && m.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0;
        }
        counts.merge(file.getFileName() + "\tchecked", 1, Integer::sum);
      }
    }
    counts.forEach((what, n) -> System.err.println(what + "\t" + n));
    System.exit(failed ? 1 : 0);
  }
}
