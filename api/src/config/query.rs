//! Where queries run, beside this process.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The scheduler of a cluster: `ballista://<host>[:<port>]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryUrl {
    /// Where it is.
    pub host: String,
    /// On which port.
    pub port: u16,
}

/// Where a scheduler listens unless told otherwise.
const PORT: u16 = 50_050;

impl FromStr for QueryUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| {
            url.scheme() == "ballista" && matches!(url.path(), "" | "/") && url.query().is_none()
        });
        let host = url.as_ref().and_then(Url::host_str).filter(|host| !host.is_empty());
        let (Some(url), Some(host)) = (&url, host) else {
            return Err(format!("ballista://<scheduler>[:{PORT}]"));
        };
        if cfg!(not(feature = "ballista")) {
            return Err("nothing: this program was built without the feature ballista".to_owned());
        }
        Ok(Self { host: host.to_owned(), port: url.port().unwrap_or(PORT) })
    }
}

impl fmt::Display for QueryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ballista://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_is_named_by_host_and_port() {
        for text in ["scheduler:50050", "http://scheduler", "ballista://", "ballista://a/b", "ballista://a?b"]
        {
            assert_eq!(text.parse::<QueryUrl>(), Err("ballista://<scheduler>[:50050]".to_owned()), "{text}");
        }
        for text in ["ballista://scheduler", "ballista://scheduler:50050", "ballista://scheduler/"] {
            let read = text.parse::<QueryUrl>().map(|url| url.to_string());
            if cfg!(feature = "ballista") {
                assert_eq!(read.as_deref(), Ok("ballista://scheduler:50050"), "{text}");
            } else {
                assert!(read.is_err_and(|error| error.contains("without the feature ballista")), "{text}");
            }
        }
    }
}
