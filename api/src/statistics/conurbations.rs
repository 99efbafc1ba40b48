//! The conurbations of the public figures: their towns (INSEE, COG 2026), and how many taxis are expected there.

/// A conurbation.
#[derive(Clone, Copy, Debug)]
pub struct Conurbation {
    /// What the public page calls it.
    pub id: &'static str,
    /// How many taxis have an ADS there, as its authority counted them.
    pub expected: u16,
    /// The codes of its towns, sorted.
    pub towns: &'static [&'static str],
}

/// The one whose growth is told.
pub const GROWING: Conurbation = LYON;

/// Those whose taxis are counted.
pub const ALL: [Conurbation; 3] = [LYON, GRENOBLE, ROUEN];

const LYON: Conurbation = Conurbation { id: "lyon", expected: 1_417, towns: &LYON_TOWNS };
const GRENOBLE: Conurbation = Conurbation { id: "grenoble", expected: 213, towns: &GRENOBLE_TOWNS };
const ROUEN: Conurbation = Conurbation { id: "rouen", expected: 301, towns: &ROUEN_TOWNS };

const LYON_TOWNS: [&str; 58] = [
    "69003", "69029", "69033", "69034", "69040", "69044", "69046", "69063", "69068", "69069", "69071",
    "69072", "69081", "69085", "69087", "69088", "69089", "69091", "69096", "69100", "69116", "69117",
    "69123", "69127", "69142", "69143", "69149", "69153", "69163", "69168", "69191", "69194", "69199",
    "69202", "69204", "69205", "69207", "69233", "69244", "69250", "69256", "69259", "69260", "69266",
    "69271", "69273", "69275", "69276", "69278", "69279", "69282", "69283", "69284", "69286", "69290",
    "69292", "69293", "69296",
];

const GRENOBLE_TOWNS: [&str; 49] = [
    "38057", "38059", "38068", "38071", "38111", "38126", "38150", "38151", "38158", "38169", "38170",
    "38179", "38185", "38187", "38188", "38200", "38229", "38235", "38252", "38258", "38271", "38277",
    "38279", "38281", "38309", "38317", "38325", "38328", "38364", "38382", "38388", "38421", "38423",
    "38436", "38445", "38471", "38472", "38474", "38478", "38485", "38486", "38516", "38524", "38528",
    "38529", "38533", "38540", "38545", "38562",
];

const ROUEN_TOWNS: [&str; 71] = [
    "76005", "76020", "76039", "76056", "76069", "76088", "76095", "76103", "76108", "76116", "76131",
    "76157", "76165", "76178", "76212", "76216", "76222", "76231", "76237", "76273", "76282", "76313",
    "76319", "76322", "76350", "76354", "76366", "76367", "76377", "76378", "76391", "76402", "76410",
    "76429", "76436", "76448", "76451", "76457", "76464", "76474", "76475", "76484", "76486", "76497",
    "76498", "76513", "76514", "76536", "76540", "76550", "76558", "76560", "76561", "76575", "76591",
    "76599", "76608", "76614", "76617", "76631", "76634", "76636", "76640", "76681", "76682", "76705",
    "76709", "76717", "76750", "76753", "76759",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towns_are_codes_in_their_order() {
        for conurbation in ALL {
            assert!(conurbation.towns.is_sorted_by(|a, b| a < b), "{}", conurbation.id);
            assert!(conurbation.towns.iter().all(|town| town.parse::<engine::territory::Insee>().is_ok()));
        }
    }
}
