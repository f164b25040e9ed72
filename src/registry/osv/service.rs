//! OSV's service (<https://google.github.io/osv.dev/api/>): one question for all packages, and then one for each
//! entry that was found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::entry::{Entry, ecosystem};
use super::{Asked, Hit};
use crate::error::{Doing, Error, Kind, Result};
use crate::package::Ecosystem;
use crate::registry::auth::Credentials;
use crate::registry::http::{Client, Get, Limits, host_of};
use crate::registry::settings::Proxies;
use crate::registry::trust::Trust;

/// The most questions that it takes at once.
const MOST: usize = 1000;
/// How often it may say that there is more.
const PAGES: usize = 5;
/// Entries that are fetched at the same time.
const AT_ONCE: usize = 8;
const JSON: &str = "application/json";

/// A service.
pub struct Service<'a> {
    /// Its address; ends with a slash.
    pub url: &'a Url,
    /// The proxies to use.
    pub proxies: &'a Proxies,
    /// Whose certificates hold.
    pub trust: &'a Trust,
    /// How long everything may take.
    pub limit: Duration,
}

/// A question: a package, and where the last answer about it broke off.
struct Question<'a> {
    asked: &'a Asked,
    page: Option<String>,
}

#[derive(Deserialize)]
struct Answers {
    #[serde(default)]
    results: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    vulns: Vec<Found>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    id: String,
}

impl Service<'_> {
    /// What it knows. An entry that does not come in time is a hit without one.
    pub fn ask(&self, of: Ecosystem, asked: &[Asked]) -> Result<Vec<Hit>> {
        let until = Instant::now() + self.limit;
        let mut found: BTreeSet<(&Asked, String)> = BTreeSet::new();
        let mut questions: Vec<Question<'_>> = asked.iter().map(|asked| Question { asked, page: None }).collect();
        for _ in 0..PAGES {
            let mut more = Vec::new();
            for some in questions.chunks(MOST) {
                let body = self.post(until, "v1/querybatch", &batch(of, some))?;
                more.extend(self.read(&body, some, &mut found)?);
            }
            questions = more;
            if questions.is_empty() {
                break;
            }
        }
        let ids: Vec<&str> = found.iter().map(|(_, id)| id.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
        let entries = self.entries(until, &ids);
        let hit = |(asked, id): &(&Asked, String)| {
            let entry = entries.get(id.as_str()).cloned();
            Hit { asked: (*asked).clone(), id: id.clone(), entry }
        };
        let hits = found.iter().map(hit);
        Ok(hits.filter(|hit| !hit.entry.as_ref().is_some_and(Entry::is_withdrawn)).collect())
    }

    /// Takes what an answer says; returns the questions to ask again.
    fn read<'a>(
        &self,
        body: &[u8],
        asked: &[Question<'a>],
        found: &mut BTreeSet<(&'a Asked, String)>,
    ) -> Result<Vec<Question<'a>>> {
        let senseless = || format!("the answer of {} makes no sense", host_of(self.url));
        let answers: Answers = serde_json::from_slice(body).doing(senseless)?;
        if answers.results.len() != asked.len() {
            return Err(Error::failed(senseless()).because("it is not about what was asked"));
        }
        let mut more = Vec::new();
        for (answer, question) in answers.results.into_iter().zip(asked) {
            found.extend(answer.vulns.into_iter().map(|vuln| (question.asked, vuln.id)));
            let page = answer.next_page_token.filter(|token| !token.is_empty());
            more.extend(page.map(|page| Question { asked: question.asked, page: Some(page) }));
        }
        Ok(more)
    }

    /// The entries of these names, as many as come in time.
    fn entries<'a>(&self, until: Instant, ids: &[&'a str]) -> BTreeMap<&'a str, Entry> {
        let (left, all) = (Mutex::new(ids.iter()), Mutex::new(BTreeMap::new()));
        let next = || left.lock().ok()?.next().copied();
        std::thread::scope(|scope| {
            for _ in 0..ids.len().min(AT_ONCE) {
                scope.spawn(|| {
                    while let Some(id) = next() {
                        match self.entry(until, id) {
                            Ok(entry) => all.lock().map(|mut all| all.insert(id, entry)).ok().flatten(),
                            Err(_) => None,
                        };
                    }
                });
            }
        });
        all.into_inner().unwrap_or_default()
    }

    fn entry(&self, until: Instant, id: &str) -> Result<Entry> {
        let mut url = self.at("v1/vulns/")?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(id);
        }
        let nobody = Credentials::default();
        let get = Get { url: &url, accept: JSON, credentials: &nobody, proxies: self.proxies };
        let body = self.client(until)?.get(&get)?.body;
        let entry: Entry = serde_json::from_slice(&body).doing(|| format!("{id} makes no sense"))?;
        if entry.id == id { Ok(entry) } else { Err(Error::failed(format!("{id} is another entry"))) }
    }

    fn post(&self, until: Instant, path: &str, body: &Value) -> Result<Vec<u8>> {
        let url = self.at(path)?;
        let nobody = Credentials::default();
        let get = Get { url: &url, accept: JSON, credentials: &nobody, proxies: self.proxies };
        Ok(self.client(until)?.post(&get, JSON, body.to_string().as_bytes())?.body)
    }

    fn at(&self, path: &str) -> Result<Url> {
        self.url.join(path).doing(|| format!("can't ask {}", host_of(self.url)))
    }

    /// For what is left of the time.
    fn client(&self, until: Instant) -> Result<Client> {
        let total = until.saturating_duration_since(Instant::now());
        if total.is_zero() {
            return Err(Error::new(Kind::Network, format!("{} does not answer in time", host_of(self.url))));
        }
        let limits = Limits { connect: total, total, tries: 1, body: 16 << 20, ..Limits::default() };
        Ok(Client::with_limits(self.trust, limits))
    }
}

/// What to send.
fn batch(of: Ecosystem, questions: &[Question<'_>]) -> Value {
    let query = |question: &Question<'_>| {
        let package = json!({ "ecosystem": ecosystem(of), "name": question.asked.name });
        let mut query = json!({ "package": package, "version": question.asked.version });
        if let Some(page) = &question.page {
            query["page_token"] = page.as_str().into();
        }
        query
    };
    json!({ "queries": questions.iter().map(query).collect::<Vec<_>>() })
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
