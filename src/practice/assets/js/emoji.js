// Short codes of the emoji people and the app commonly use. An unknown code stays as it was typed.

const TABLE = `
+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎|ok_hand 👌|clap 👏|raised_hands 🙌|pray 🙏|wave 👋|muscle 💪|point_up ☝️|point_right 👉
point_left 👈|point_down 👇|eyes 👀|brain 🧠|handshake 🤝|writing_hand ✍️|raised_hand ✋|v ✌️|crossed_fingers 🤞|salute 🫡|saluting_face 🫡
smile 😄|smiley 😃|grinning 😀|slightly_smiling_face 🙂|blush 😊|wink 😉|joy 😂|sweat_smile 😅|thinking_face 🤔|neutral_face 😐
disappointed 😞|cry 😢|sob 😭|scream 😱|sleeping 😴|face_with_monocle 🧐|relieved 😌|sunglasses 😎|exploding_head 🤯|melting_face 🫠|facepalm 🤦
heart ❤️|green_heart 💚|blue_heart 💙|yellow_heart 💛|broken_heart 💔|sparkles ✨|star ⭐|star2 🌟|fire 🔥|boom 💥|tada 🎉|zap ⚡|rainbow 🌈
white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|x ❌|negative_squared_cross_mark ❎|heavy_multiplication_x ✖️
warning ⚠️|no_entry ⛔|no_entry_sign 🚫|octagonal_sign 🛑|stop_sign 🛑|rotating_light 🚨|bangbang ‼️|exclamation ❗|question ❓|grey_question ❔
information_source ℹ️|interrobang ⁉️|red_circle 🔴|large_orange_circle 🟠|orange_circle 🟠|large_yellow_circle 🟡|yellow_circle 🟡
large_green_circle 🟢|green_circle 🟢|large_blue_circle 🔵|blue_circle 🔵|large_purple_circle 🟣|purple_circle 🟣|black_circle ⚫|white_circle ⚪
red_square 🟥|large_red_square 🟥|large_orange_square 🟧|large_yellow_square 🟨|large_green_square 🟩|large_blue_square 🟦|black_square_button 🔲
white_large_square ⬜|black_large_square ⬛|small_red_triangle 🔺|small_red_triangle_down 🔻|radio_button 🔘|diamond_shape_with_a_dot_inside 💠
arrow_up ⬆️|arrow_down ⬇️|arrow_left ⬅️|arrow_right ➡️|arrow_forward ▶️|arrow_backward ◀️|arrow_heading_up ⤴️|arrow_heading_down ⤵️
leftwards_arrow_with_hook ↩️|arrow_right_hook ↪️|rewind ⏪|fast_forward ⏩|black_left_pointing_double_triangle_with_vertical_bar ⏮️
arrows_counterclockwise 🔄|arrows_clockwise 🔃|repeat 🔁|twisted_rightwards_arrows 🔀|pause_button ⏸️|double_vertical_bar ⏸️|black_square_for_stop ⏹️|stop_button ⏹️
hourglass ⌛|hourglass_flowing_sand ⏳|stopwatch ⏱️|timer_clock ⏲️|alarm_clock ⏰|watch ⌚|clock1 🕐|clock3 🕒|clock9 🕘|mantelpiece_clock 🕰️
calendar 📆|date 📅|spiral_calendar_pad 🗓️|pushpin 📌|round_pushpin 📍|paperclip 📎|link 🔗|bookmark 🔖|bookmark_tabs 📑|memo 📝|pencil 📝|pencil2 ✏️
page_facing_up 📄|page_with_curl 📃|scroll 📜|clipboard 📋|card_index_dividers 🗂️|file_folder 📁|open_file_folder 📂|newspaper 📰|book 📖|books 📚|closed_book 📕
bar_chart 📊|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|mag 🔍|mag_right 🔎|lock 🔒|unlock 🔓|key 🔑|shield 🛡️|closed_lock_with_key 🔐
bell 🔔|no_bell 🔕|loudspeaker 📢|mega 📣|speech_balloon 💬|thought_balloon 💭|left_speech_bubble 🗨️|telephone ☎️|telephone_receiver 📞|iphone 📱|calling 📲
pager 📟|email 📧|e-mail 📧|envelope ✉️|incoming_envelope 📨|envelope_with_arrow 📩|inbox_tray 📥|outbox_tray 📤|mailbox 📫|satellite 🛰️|satellite_antenna 📡
computer 💻|desktop_computer 🖥️|keyboard ⌨️|floppy_disk 💾|minidisc 💽|cd 💿|electric_plug 🔌|battery 🔋|bulb 💡|flashlight 🔦
wrench 🔧|hammer 🔨|hammer_and_wrench 🛠️|tools 🛠️|gear ⚙️|nut_and_bolt 🔩|toolbox 🧰|package 📦|broom 🧹|wastebasket 🗑️|construction 🚧|label 🏷️
fire_engine 🚒|firefighter 🧑‍🚒|ambulance 🚑|helicopter 🚁|ship 🚢|rocket 🚀|airplane ✈️|anchor ⚓|lighthouse 🗼|sos 🆘|adhesive_bandage 🩹|stethoscope 🩺|thermometer 🌡️
shopping_trolley 🛒|shopping_cart 🛒|credit_card 💳|moneybag 💰|receipt 🧾|bank 🏦|convenience_store 🏪|department_store 🏬|office 🏢
bug 🐛|beetle 🪲|ant 🐜|turtle 🐢|snail 🐌|owl 🦉|whale 🐳|dog 🐶|cat 🐱|robot_face 🤖|robot 🤖|ghost 👻|skull 💀
bust_in_silhouette 👤|busts_in_silhouette 👥|technologist 🧑‍💻|detective 🕵️|construction_worker 👷|judge 🧑‍⚖️|scales ⚖️|crown 👑|trophy 🏆|medal 🏅|dart 🎯|checkered_flag 🏁
triangular_flag_on_post 🚩|white_flag 🏳️|black_flag 🏴|earth_africa 🌍|globe_with_meridians 🌐|cloud ☁️|partly_sunny ⛅|sunny ☀️|rain_cloud 🌧️|snowflake ❄️|crescent_moon 🌙
coffee ☕|pizza 🍕|cake 🍰|beer 🍺|croissant 🥐|seedling 🌱|evergreen_tree 🌲|four_leaf_clover 🍀|balloon 🎈|gift 🎁|ticket 🎫|game_die 🎲|jigsaw 🧩|test_tube 🧪|microscope 🔬
one 1️⃣|two 2️⃣|three 3️⃣|four 4️⃣|five 5️⃣|six 6️⃣|seven 7️⃣|eight 8️⃣|nine 9️⃣|zero 0️⃣|keycap_ten 🔟|100 💯|new 🆕|up 🆙|cool 🆒|free 🆓|ok 🆗|abc 🔤|1234 🔢
heavy_plus_sign ➕|heavy_minus_sign ➖|heavy_division_sign ➗|curly_loop ➰|recycle ♻️|white_small_square ▫️|black_small_square ▪️|small_blue_diamond 🔹|small_orange_diamond 🔸
large_blue_diamond 🔷|large_orange_diamond 🔶|see_no_evil 🙈|hear_no_evil 🙉|speak_no_evil 🙊|hugging_face 🤗|nerd_face 🤓|zzz 💤|sweat_drops 💦|dash 💨|hole 🕳️|bomb 💣
`;

const GLYPHS = new Map(
  TABLE.trim()
    .split(/[|\n]/)
    .filter(Boolean)
    .map((pair) => {
      const at = pair.indexOf(' ');
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
);

/** The glyph of a short code (without colons), or `null`. Skin tones are left out. */
export const glyph = (name) => GLYPHS.get(name) ?? GLYPHS.get(name.split('::')[0]) ?? null;

export const shown = (name) => glyph(name) ?? `:${name}:`;

/** Replaces the known `:codes:` of a plain text. */
export const withEmoji = (text) => text.replace(/:([\w+-]+):/g, (whole, name) => glyph(name) ?? whole);

/** What the reaction picker offers first. */
export const QUICK = [
  'pushpin',
  'white_check_mark',
  'eyes',
  '+1',
  'fire',
  'tada',
  'pray',
  'raised_hands',
  'rotating_light',
  'heart',
  'thinking_face',
  'x',
];

export const search = (text) => [...GLYPHS.keys()].filter((name) => name.includes(text)).slice(0, 40);
