//! Where a topic is: brokers and a name.

use std::fmt;

use crate::log::SEARCHES;

/// A topic of Kafka's, as `kafka://<host>:<port>[,<host>:<port>...]/<topic>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Where to ask first which brokers there are: `<host>:<port>`, separated by commas.
    pub brokers: String,
    /// Its name.
    pub name: String,
}

impl Topic {
    /// None where the text is no such URL.
    pub(in crate::log) fn read(text: &str) -> Option<Self> {
        let (brokers, name) = text.strip_prefix("kafka://")?.split_once('/')?;
        let is_topic = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && ![".", ".."].contains(&name);
        (brokers.split(',').all(is_broker) && is_topic)
            .then(|| Self { brokers: brokers.to_owned(), name: name.to_owned() })
    }

    /// The topic of what is logged beside it.
    pub(in crate::log) fn beside(&self, what: &str) -> Self {
        Self { brokers: self.brokers.clone(), name: format!("{}{what}", self.name) }
    }

    /// The topic whose first message says which log this is.
    pub(super) fn epoch(&self) -> String {
        format!("{}{EPOCH}", self.name)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}/{}", self.brokers, self.name)
    }
}

const EPOCH: &str = ".epoch";
/// Kafka's 249 characters, less those that the topics beside it add.
const MAX_NAME: usize = 249 - SEARCHES.len() - EPOCH.len();

fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    is_v6.map_or_else(|| is_name(host), |host| host.parse::<std::net::Ipv6Addr>().is_ok())
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_and_names_are_looked_at() {
        let longest = "t".repeat(MAX_NAME);
        for (brokers, name) in
            [("a:1", "t"), ("a-b.c:65535,127.0.0.1:9092,[::1]:1", "A.b_c-1"), ("a:1", &longest)]
        {
            let topic = Topic::read(&format!("kafka://{brokers}/{name}")).unwrap();
            assert_eq!((topic.brokers.as_str(), topic.name.as_str()), (brokers, name));
        }
        let bad = [
            "a/t",
            "a:/t",
            "a:0/t",
            "a:65536/t",
            ":1/t",
            "a:1,/t",
            "a:1,b/t",
            "a:1",
            "a:1/",
            "a:1/.",
            "a:1/..",
            "a:1/t/u",
            "a:1/t?u=v",
            "a:1/é",
            "u:p@a:1/t",
            "::1:1/t",
            "[::1/t",
        ];
        for bad in bad {
            assert_eq!(Topic::read(&format!("kafka://{bad}")), None, "{bad}");
        }
        assert_eq!(Topic::read(&format!("kafka://a:1/{longest}t")), None);
    }
}
