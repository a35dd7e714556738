//! The badge: how a site stands and what is live, small enough for a README.

use anyhow::Result;
use askama::Template;

use super::overview::{Overview, State};

/// What stands in its left half.
const LABEL: &str = "deploy";

/// The colours behind white text: with each it has a contrast of 4.5 at least (WCAG 2.1, 1.4.3).
const LABEL_COLOUR: &str = "#444c56";
const GREEN: &str = "#1a7f37";
const RED: &str = "#b42318";
const BLUE: &str = "#0b62c4";
const AMBER: &str = "#8a5700";
const GREY: &str = "#59636e";

/// Beside a text, in pixels.
const PADDING: u32 = 6;

#[derive(Template)]
#[template(path = "badge.svg", config = "src/page/askama.toml")]
struct Badge<'b> {
    message: &'b str,
    colour: &'b str,
    /// How wide the texts are, in pixels.
    label_text: u32,
    message_text: u32,
}

pub(super) fn image(overview: &Overview) -> Result<String> {
    let live = overview.live.as_ref().map(|live| live.commit.short());
    let words = [overview.state.word()].into_iter().chain(live);
    let message = words.collect::<Vec<_>>().join(" ");
    let badge = Badge {
        message: &message,
        colour: colour_of(overview.state),
        label_text: width_of(LABEL),
        message_text: width_of(&message),
    };
    Ok(badge.render()?)
}

fn colour_of(state: State) -> &'static str {
    match state {
        State::Deployed => GREEN,
        State::Failed => RED,
        State::Running => BLUE,
        State::Held | State::Waiting => AMBER,
        State::Nothing => GREY,
    }
}

/// How wide Verdana shows a text at 11 pixels; where there is another font, the text is made as wide.
fn width_of(text: &str) -> u32 {
    let tenths = text.chars().map(|c| match c {
        'i' | 'j' | 'l' => 30,
        'f' | 't' | ' ' => 40,
        'r' => 47,
        'c' | 's' => 57,
        'm' => 107,
        'w' => 90,
        _ => 69,
    });
    tenths.sum::<u32>().div_ceil(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.1, "relative luminance".
    fn luminance(colour: &str) -> f64 {
        let digits = colour.strip_prefix('#').unwrap();
        let part = |at: usize| {
            let value = u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            let value = f64::from(value) / 255.0;
            if value <= 0.03928 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    }

    #[test]
    fn white_text_can_be_read_on_every_colour() {
        for colour in [LABEL_COLOUR, GREEN, RED, BLUE, AMBER, GREY] {
            let contrast = 1.05 / (luminance(colour) + 0.05);
            assert!(contrast >= 4.5, "{colour}: {contrast:.2}");
        }
    }

    #[test]
    fn a_site_without_a_deploy_has_a_badge_too() {
        let image = image(&Overview::default()).unwrap();
        assert!(
            image.contains("<title>deploy: nothing yet</title>"),
            "{image}"
        );
    }
}
