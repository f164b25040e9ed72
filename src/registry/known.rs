//! Names that people mean: for "did you mean", never for a decision.

use crate::package::Ecosystem;

/// Nearer than this (Jaro-Winkler) a name counts as mistyped.
const NEAR: f64 = 0.9;

/// What to say about a package that does not exist.
pub fn hints(ecosystem: Ecosystem, name: &str) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(meant) = nearest(ecosystem, name) {
        hints.push(format!("did you mean {meant}?"));
    }
    let (other, shim, place) = match ecosystem {
        Ecosystem::Npm => (PYPI, "uvx-safe", "PyPI"),
        Ecosystem::Pypi => (NPM, "npx-safe", "npm"),
    };
    if other.contains(&name) {
        hints.push(format!("{name} is on {place}: {shim} {name}"));
    }
    hints
}

/// The popular name that looks most like `name`, if one is near.
pub fn nearest(ecosystem: Ecosystem, name: &str) -> Option<&'static str> {
    let names = match ecosystem {
        Ecosystem::Npm => NPM,
        Ecosystem::Pypi => PYPI,
    };
    // A forgotten scope is the commonest slip of all.
    let scoped = |known: &&&str| known.rsplit_once('/').is_some_and(|(_, bare)| bare == name);
    if let Some(known) = names.iter().find(scoped) {
        return Some(known);
    }
    names
        .iter()
        .filter(|known| **known != name)
        .map(|known| (strsim::jaro_winkler(known, name), *known))
        .filter(|(score, known)| *score >= NEAR && strsim::osa_distance(known, name) <= 3)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

const NPM: &[&str] = &[
    "@21st-dev/magic",
    "@abhiz123/todoist-mcp-server",
    "@adenot/mcp-google-search",
    "@agentdeskai/browser-tools-mcp",
    "@alanse/mcp-neo4j-server",
    "@amap/amap-maps-mcp-server",
    "@anaisbetts/mcp-installer",
    "@apify/actors-mcp-server",
    "@apify/mcp-server-rag-web-browser",
    "@bankless/onchain-mcp",
    "@bharathvaj/whois-mcp",
    "@brave/brave-search-mcp-server",
    "@bytebase/dbhub",
    "@chargebee/mcp",
    "@circleci/mcp-server-circleci",
    "@cloudflare/mcp-server-cloudflare",
    "@delorenj/mcp-server-ticketmaster",
    "@e2b/mcp-server",
    "@ergut/mcp-bigquery-server",
    "@executeautomation/playwright-mcp-server",
    "@felores/airtable-mcp-server",
    "@felores/cloudinary-mcp-server",
    "@gannonh/firebase-mcp",
    "@gongrzhe/quickchart-mcp-server",
    "@gongrzhe/server-gmail-autoauth-mcp",
    "@gongrzhe/server-json-mcp",
    "@heroku/mcp-server",
    "@modelcontextprotocol/inspector",
    "@modelcontextprotocol/server-aws-kb-retrieval",
    "@modelcontextprotocol/server-brave-search",
    "@modelcontextprotocol/server-everart",
    "@modelcontextprotocol/server-everything",
    "@modelcontextprotocol/server-filesystem",
    "@modelcontextprotocol/server-gdrive",
    "@modelcontextprotocol/server-github",
    "@modelcontextprotocol/server-gitlab",
    "@modelcontextprotocol/server-google-maps",
    "@modelcontextprotocol/server-memory",
    "@modelcontextprotocol/server-postgres",
    "@modelcontextprotocol/server-puppeteer",
    "@modelcontextprotocol/server-redis",
    "@modelcontextprotocol/server-sequential-thinking",
    "@modelcontextprotocol/server-slack",
    "@neondatabase/mcp-server-neon",
    "@notionhq/notion-mcp-server",
    "@openbnb/mcp-server-airbnb",
    "@playwright/mcp",
    "@simonb97/server-win-cli",
    "@stripe/mcp",
    "@supabase/mcp-server-supabase",
    "@upstash/context7-mcp",
    "@wonderwhy-er/desktop-commander",
    "@angular/cli",
    "@biomejs/biome",
    "@vue/cli",
    "chrome-devtools-mcp",
    "concurrently",
    "cowsay",
    "create-next-app",
    "create-react-app",
    "create-vite",
    "degit",
    "esbuild",
    "eslint",
    "exa-mcp-server",
    "figma-developer-mcp",
    "firecrawl-mcp",
    "http-server",
    "hyperbrowser-mcp",
    "iterm-mcp",
    "jest",
    "json-server",
    "kubernetes-mcp-server",
    "linear-mcp-server",
    "markdownlint-cli",
    "mcp-remote",
    "mcp-server-kubernetes",
    "mcp-server-siri-shortcuts",
    "mocha",
    "nodemon",
    "npm-check-updates",
    "obsidian-mcp",
    "playwright",
    "prettier",
    "prisma",
    "repomix",
    "rimraf",
    "semver",
    "serve",
    "server-perplexity-ask",
    "shadcn",
    "supergateway",
    "tailwindcss",
    "task-master-ai",
    "tavily-mcp",
    "ts-node",
    "tsx",
    "typescript",
    "vercel",
    "vite",
    "vitest",
    "webpack",
    "wrangler",
];

const PYPI: &[&str] = &[
    "ansible",
    "awscli",
    "awslabs-aws-documentation-mcp-server",
    "awslabs-cdk-mcp-server",
    "awslabs-core-mcp-server",
    "bandit",
    "basic-memory",
    "black",
    "blender-mcp",
    "build",
    "chroma-mcp",
    "cookiecutter",
    "copier",
    "duckdb",
    "elevenlabs-mcp",
    "flake8",
    "hatch",
    "httpie",
    "ipython",
    "isort",
    "jupyterlab",
    "kagimcp",
    "logfire-mcp",
    "mcp-atlassian",
    "mcp-neo4j-aura-manager",
    "mcp-neo4j-cypher",
    "mcp-neo4j-memory",
    "mcp-pandoc",
    "mcp-proxy",
    "mcp-server-fetch",
    "mcp-server-git",
    "mcp-server-motherduck",
    "mcp-server-qdrant",
    "mcp-server-sentry",
    "mcp-server-sqlite",
    "mcp-server-time",
    "mkdocs",
    "mypy",
    "mysql-mcp-server",
    "nox",
    "oxylabs-mcp",
    "pip-audit",
    "poetry",
    "pre-commit",
    "pycowsay",
    "pylint",
    "pyright",
    "pytest",
    "ruff",
    "semgrep",
    "semgrep-mcp",
    "serena-agent",
    "sqlfluff",
    "streamlit",
    "tox",
    "twine",
    "ty",
    "virtualenv",
    "yamllint",
    "yt-dlp",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let npm = |name| nearest(Ecosystem::Npm, name);
        assert_eq!(npm("@modelcontextprotocol/server-filesytem"), Some("@modelcontextprotocol/server-filesystem"));
        assert_eq!(npm("server-everything"), Some("@modelcontextprotocol/server-everything"));
        assert_eq!(npm("pretier"), Some("prettier"));
        assert_eq!(npm("zzz-something-else"), None);
        assert_eq!(nearest(Ecosystem::Pypi, "mcp-sever-time"), Some("mcp-server-time"));
    }

    #[test]
    fn the_wrong_registry_is_named() {
        let hints = hints(Ecosystem::Npm, "mcp-server-time");
        assert_eq!(hints, ["mcp-server-time is on PyPI: uvx-safe mcp-server-time"]);
    }
}
